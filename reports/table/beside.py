"""The runs that a single run is shown beside: the frame's scored runs in the same folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from prefbench.api import PrefbenchError, ScoredRun
from prefbench.api.runs import is_given
from prefbench.score.scored_folder import ScoredFolder

from ..shared.frame import BASELINE, CEILING, CROWD, MISMATCH, ROLES, framing, mismatched
from ..shared.labels import must_agree

logger = logging.getLogger(__name__)
_SHARED = (
    "suite_digest", "split", "seed", "backbone_digest", "users", "samples_per_case", "steps", "guidance", "dtype",
)  # fmt: skip
"""Settings that a run must share with the frame that it is shown beside."""


_FRAME = (BASELINE, CEILING, CROWD)


def frame_beside(run: ScoredRun) -> list[ScoredRun]:
    """The finished, scored runs next to a run that it can be compared with: baseline, ceiling, crowd, and the run's own
    mismatched control.
    """
    frame: dict[str, ScoredRun] = {}
    for path in sorted(run.path.resolve().parent.iterdir()):
        if path == run.path.resolve() or not (path / "summary.json").is_file():
            continue
        try:
            other = ScoredFolder.open(path)
            pair = {"own": run, "other": other}
            methods = [name for name in _FRAME if _frames(pair, name)]
            methods += [MISMATCH] * (mismatched(pair, "own") is not None)
            same = all(other.spec[name] == run.spec[name] for name in _SHARED if must_agree(name, run))
            if methods and same and not other.undrawn and _scored_alike(other, run):
                other.check()
                frame[methods[0]] = other
        except PrefbenchError as error:
            logger.warning("left out  %s: %s", path, error)
    return list(frame.values())


def _frames(pair: Mapping[str, ScoredRun], method: str) -> bool:
    """Whether the other run is a part of the frame that the own one is not."""
    if is_given(pair["own"].spec) and method not in ROLES:
        return False
    return framing(pair, "own", method) == "other"


def _scored_alike(one: ScoredRun, other: ScoredRun) -> bool:
    """Whether they share metrics, all by one recipe each. One may have more: metrics of what only some methods have."""
    recipes, others = one.recipes(), other.recipes()
    shared = recipes.keys() & others.keys()
    return bool(shared) and all(recipes[name] == others[name] for name in shared)

"""The frame of every table: the methods and columns that reports know by name. No other report module names them."""

from __future__ import annotations

from collections.abc import Mapping

from prefbench.api import DERIVED, PrefbenchError, ScoredRun
from prefbench.registry import default

BASELINE, CEILING = default("method.baseline"), default("method.ceiling")
"""The method that differences are to unless another is named, and the best that the same histories allow."""
UTILITY, GAP = "utility", DERIVED[0]
"""The known truth's column, and the share of the way from baseline to ceiling that is made from it."""
_HEADLINES: Mapping[str, tuple[str, ...]] = {
    "preference": (GAP, UTILITY, "preference"),
    "adherence": ("clip-score", "prompt-fidelity", "vqa-score"),
    "fidelity": ("fid", "fd-dinov2", "kid"),
    "side": ("copy-rate", "diversity"),
}
"""What a terminal shows of each question where several runs stand side by side: the first that there is."""


def headlines(questions: Mapping[str, str]) -> list[str]:
    """One metric for each question, of metrics with the questions that they answer; without parts such as `/own`."""
    chosen = []
    for question, usual in _HEADLINES.items():
        names = [name for name, own in questions.items() if own == question and "/" not in name]
        chosen += [name for name in (*usual, *names) if name in names][:1]
    return chosen


def is_control(run: ScoredRun) -> bool:
    """Whether the run exists to expose a metric: a control by its card, or a method under a control."""
    return bool(run.description["method"].get("control")) or run.control is not None


def is_plain(run: ScoredRun, method: str) -> bool:
    """Whether the run is the registered method of that name under no control: a file's class may take any name."""
    return bool(run.spec["method"] == method) and run.control is None


def only(runs: Mapping[str, ScoredRun], method: str) -> str | None:
    """The label of the one plain run of a method, None where there is none. Raises `PrefbenchError` for several."""
    labels = [label for label, run in runs.items() if is_plain(run, method)]
    if len(labels) > 1:
        raise PrefbenchError(f"a comparison takes one run of {method}, got {len(labels)}: {', '.join(labels)}")
    return labels[0] if labels else None

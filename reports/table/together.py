"""Which of several runs stand in one table, so that one run among many never keeps the others from being shown."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial

from prefbench.api import ScoredRun

from ..shared.frame import BASELINES, CEILING, CROWDS, is_plain, stated_backbone, stated_role
from ..shared.labels import MUST_AGREE, SAMPLER, must_agree, settings_of

logger = logging.getLogger(__name__)
_SIZE = ("users", "samples_per_case")


def together(runs: Sequence[ScoredRun]) -> list[ScoredRun]:
    """The runs that belong with most of the others, of equally many those that come first; each other is warned of.

    They share data, split, seed, backbone and the recipes of their metrics; of runs with equal settings, and of
    several of the baseline, the ceiling or the crowd, one is kept.
    """
    kept = list(runs)
    for field, meaning in MUST_AGREE.items():
        reason = f"it differs from the others in {meaning}"
        kept = _majority(kept, partial(_setting, field), reason)
    for metric in dict.fromkeys(name for run in kept for name in run.recipes()):
        reason = f"its {metric} was scored by another recipe than the others'; prefbench score RUN"
        kept = _majority(kept, partial(_recipe, metric), reason)
    kept = _once(kept, _identity, "it has the settings of another run")
    for method in (*BASELINES, CEILING, *CROWDS):
        kept = _one_plain(kept, method)
    return _once(kept, _stated_place, "a table takes one run of each part of the frame of one stated backbone")


def _setting(field: str, run: ScoredRun) -> str | None:
    return str(run.spec[field]) if must_agree(field, run) else None


def _recipe(metric: str, run: ScoredRun) -> str | None:
    return run.recipes().get(metric)


def _majority(runs: Sequence[ScoredRun], of: Callable[[ScoredRun], str | None], reason: str) -> list[ScoredRun]:
    """The runs with the commonest value, and those without any."""
    counts = Counter(value for run in runs if (value := of(run)) is not None)
    commonest = max(counts, key=counts.__getitem__, default=None)
    return _left(runs, [run for run in runs if of(run) in (commonest, None)], reason)


def _once(runs: Sequence[ScoredRun], of: Callable[[ScoredRun], Hashable], reason: str) -> list[ScoredRun]:
    first = {of(run): run for run in reversed(runs)}
    return _left(runs, [run for run in runs if first[of(run)] is run], reason)


def _one_plain(runs: Sequence[ScoredRun], method: str) -> list[ScoredRun]:
    """Without further runs of a method that a table knows by name: the one whose settings are commonest stays."""
    plain = [run for run in runs if is_plain(run, method)]
    sampler = Counter(_sampler(run) for run in runs if run not in plain)
    best = max(plain, key=lambda run: sampler[_sampler(run)], default=None)
    kept = [run for run in runs if run not in plain or run is best]
    return _left(runs, kept, f"a table takes one run of {method}")


def _left(runs: Iterable[ScoredRun], kept: list[ScoredRun], reason: str) -> list[ScoredRun]:
    for run in runs:
        if run not in kept:
            logger.warning("left out  %s: %s", run.path, reason)
    return kept


def _sampler(run: ScoredRun) -> Hashable:
    return tuple(str(run.spec.get(name)) for name in (*SAMPLER, *_SIZE))


def _stated_place(run: ScoredRun) -> Hashable:
    """The place in a frame that a run takes by its card; runs that take none have one of their own."""
    return (stated_role(run), stated_backbone(run)) if stated_role(run) else run.path


def _identity(run: ScoredRun) -> Hashable:
    return run.method, run.control, tuple((name, str(value)) for name, value in settings_of(run).items())

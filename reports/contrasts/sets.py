"""Differences between runs in set-level metrics, with intervals and p values that allow for other users and prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prefbench.api import Estimate, FeatureSet, PrefbenchError, ScoredRun, SetMetric, Suite
from prefbench.registry import make
from prefbench.run.folder import RunFolder
from prefbench.score.inputs import MetricInputs
from prefbench.score.material import Material
from prefbench.score.sets import WITHOUT_KEYS
from prefbench.stats.jackknife import jackknife_test
from prefbench.stats.permutation import label_swap

Pair = tuple[str, str]
"""The labels of a run and of the one that it is compared with."""


@dataclass(frozen=True)
class SetDifference:
    """One set-level metric of two runs, their difference with its interval, and the p value of no difference."""

    value: float
    other: float
    difference: Estimate
    p: float | None
    """None without an interval."""


class SetContrasts:
    """Compares runs of one suite in set-level metrics; every run's features are read once for all of them.

    The p value is the larger of two. Student's t on the values that scoring stored without single users and without
    single prompts (`jackknife_test`) speaks of new users and prompts, and so does the interval. The swap of labels by
    users is exact for few users, but it answers for these prompts alone: alone it calls methods different that differ
    from prompt to prompt and not on average. Where leaving users or prompts out leaves too little, there is neither.

    Args:
        runs: by their labels; scored for the metrics, so that nothing is added to their folders.
        swaps: permutations of the test.
    """

    def __init__(self, suite: Suite, runs: Mapping[str, ScoredRun], *, swaps: int) -> None:
        self._suite, self._runs, self._swaps = suite, runs, swaps
        self._inputs = MetricInputs(suite)

    def of(self, name: str, pairs: Sequence[Pair]) -> list[SetDifference]:
        """The differences of each pair in one metric.

        Raises:
            PrefbenchError: a run was scored by another version, or two runs hold other users or prompts, or another
                number of images of each.
        """
        metric: SetMetric = make("metric", name)
        for label in dict.fromkeys(sum(pairs, ())):
            stored = self._runs[label].headers[name].metric
            if stored != metric.card.id:
                path = self._runs[label].path
                raise PrefbenchError(f"{path} was scored by {stored}, not by {metric.card.id}; prefbench score {path}")
        sets = {label: self._sets(metric, self._runs[label]) for label in dict.fromkeys(sum(pairs, ()))}
        reference = next(iter(sets.values()))[1]
        drawn = {label: by_user for label, (by_user, _) in sets.items()}
        values = {label: metric.compare(images, reference) for label, images in drawn.items()}
        return [self._difference(metric, drawn, values, pair, reference) for pair in pairs]

    def _sets(self, metric: SetMetric, run: ScoredRun) -> tuple[FeatureSet, FeatureSet]:
        """The drawn images, user by user, and the half of the references that they are compared with.

        Where there are fewer references than images, the same users, prompts and indices are compared of every run.
        """
        material = Material(RunFolder(run.path), self._suite, run.spec["split"])
        drawn, reference, *_ = self._inputs.sets(metric, material)
        return drawn.select(np.lexsort((drawn.prompts, drawn.users))), reference

    def _difference(
        self,
        metric: SetMetric,
        drawn: Mapping[str, FeatureSet],
        values: Mapping[str, float],
        pair: Pair,
        reference: FeatureSet,
    ) -> SetDifference:
        own, other = drawn[pair[0]], drawn[pair[1]]
        if not (np.array_equal(own.users, other.users) and np.array_equal(own.prompts, other.prompts)):
            raise PrefbenchError(
                f"{pair[0]} and {pair[1]} hold other users or prompts, or another number of images of each"
            )
        n_users, n_prompts = (len(np.unique(names)) for names in (own.users, own.prompts))
        value, beside = (values[label] for label in pair)
        test = jackknife_test(value - beside, self._without_each(metric.card.name, pair))
        low, high = (None, None) if test is None else (value - beside + sign * test.half_width for sign in (-1, 1))
        estimate = Estimate(value - beside, low, high, n_users, n_prompts, len(own), 0)
        if test is None:
            return SetDifference(value, beside, estimate, None)
        swapped = metric.resampling.permuted_difference(own, other, reference)
        by_users = label_swap(n_users, swapped, replicates=self._swaps)
        return SetDifference(value, beside, estimate, max(test.p_value, by_users))

    def _without_each(self, name: str, pair: Pair) -> list[list[float | None]]:
        """The differences without each group of users and of prompts; None where either run has no value."""
        first, second = (self._runs[label].set_values(name) for label in pair)
        return [
            [_minus(first[key], second.get(key)) for key in first if key.startswith(prefix)] for prefix in WITHOUT_KEYS
        ]


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b

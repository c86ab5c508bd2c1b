"""Differences between runs in set-level metrics, with p values of a permutation test over users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prefbench.api import Estimate, FeatureSet, PrefbenchError, ScoredRun, SetMetric, Suite
from prefbench.registry import make
from prefbench.run.folder import RunFolder
from prefbench.score.inputs import MetricInputs
from prefbench.score.material import Material
from prefbench.stats.permutation import label_swap

Pair = tuple[str, str]
"""The labels of a run and of the one that it is compared with."""


@dataclass(frozen=True)
class SetDifference:
    """One set-level metric of two runs, their difference without interval, and the p value of no difference."""

    value: float
    other: float
    difference: Estimate
    p: float


class SetContrasts:
    """Compares runs of one suite in set-level metrics; every run's features are read once for all of them.

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
            PrefbenchError: a run drew more images than there are references, or two runs hold other users or prompts,
                or another number of images of each.
        """
        metric: SetMetric = make("metric", name)
        sets = {label: self._sets(metric, self._runs[label]) for label in dict.fromkeys(sum(pairs, ()))}
        reference = next(iter(sets.values()))[1]
        drawn = {label: by_user for label, (by_user, _) in sets.items()}
        values = {label: metric.compare(images, reference) for label, images in drawn.items()}
        return [self._difference(metric, drawn, values, pair, reference) for pair in pairs]

    def _sets(self, metric: SetMetric, run: ScoredRun) -> tuple[FeatureSet, FeatureSet]:
        """The drawn images, user by user, and the half of the references that they are compared with."""
        material = Material(RunFolder(run.path), self._suite, run.spec["split"])
        drawn, reference, _ = self._inputs.sets(metric, material)
        if len(drawn) < len(material.drawn):
            raise PrefbenchError(f"{run.path} drew {len(material.drawn)} images for {len(drawn)} references")
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
        n_users = len(np.unique(own.users))
        difference = metric.resampling.permuted_difference(own, other, reference)
        value, beside = (values[label] for label in pair)
        n_prompts = len(np.unique(own.prompts))
        estimate = Estimate(value - beside, None, None, n_users, n_prompts, len(own), 0)
        return SetDifference(value, beside, estimate, label_swap(n_users, difference, replicates=self._swaps))

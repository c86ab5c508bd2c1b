"""Squared maximum mean discrepancies as set metrics: what `kid`, `mmd` and `cmmd` share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, Resampling, SetMetric
from prefbench.stats.mmd import Kernel, biased_mmd, unbiased_mmd

from .checks import check_features, check_pairs
from .user_sums import mmd_without_each, sums_between_users


class KernelDistance(SetMetric):
    """1000 x MMD² = 1000 (E k(x, x') + E k(y, y') - 2 E k(x, y)) of drawn features x and reference features y.

    Estimated without bias over pairs of different users and different prompts (Gretton et al. 2012, lemma 6, whose
    independent images these are), or, with `all_pairs`, over all pairs with each image's pair with itself (their
    equation 5): biased upwards and never below 0.
    """

    all_pairs: ClassVar[bool] = False

    @abstractmethod
    def kernel(self, reference: FeatureSet) -> Kernel:
        """k. Raises `NotMeasurableError` where none follows from these references."""

    def embedded(self, images: FeatureSet) -> FeatureSet:
        """The features that the kernel compares."""
        return images

    @property
    def resampling(self) -> Resampling:
        """Sums of kernels between users, computed once: permuted and left-out values are sums over some of them."""
        return _KernelResampling(self)

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The distance.

        Raises:
            NotMeasurableError: fewer than two images, users or prompts on a side, or no pair without either in common.
        """
        check_features(self.card.name, drawn, reference)
        x, y = self.embedded(drawn), self.embedded(reference)
        kernel = self.kernel(y)
        if self.all_pairs:
            return self.scaled(float(biased_mmd(x.features, y.features, kernel)))
        check_pairs(self.card.name, drawn, reference)
        groupings = [(x.users, y.users), (x.prompts, y.prompts)]
        return self.scaled(float(unbiased_mmd(x.features, y.features, kernel, groupings=groupings)))

    def scaled(self, squared: float) -> float:
        """The distance of an estimate of MMD²."""
        # Over all pairs the estimate is a squared norm, below 0 only by rounding.
        return max(0.0, 1000 * squared) if self.all_pairs else 1000 * squared


class _KernelResampling(Resampling):
    metric: KernelDistance

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        metric = self.metric
        metric.compare(first, reference)  # refuses what it cannot measure
        x, other, y = (metric.embedded(images) for images in (first, second, reference))
        sums = sums_between_users(x, other, y, metric.kernel(y), all_pairs=metric.all_pairs)
        return lambda marked: 1000 * sums.difference(marked)

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        metric = self.metric
        metric.compare(drawn, reference)  # refuses what it cannot measure
        x, y = metric.embedded(drawn), metric.embedded(reference)
        groups, kernel = (of_drawn, of_reference), metric.kernel(y)
        squared = mmd_without_each(x, y, *groups, kernel, all_pairs=metric.all_pairs)
        return [metric.scaled(value) for value in squared]

"""`kid`: the kernel distance between the features of drawn and of reference images."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, MetricCard, SetMetric
from prefbench.stats.mmd import cubic_kernel, unbiased_mmd

from .fid import check_features
from .shared.user_sums import check_users, mmd_without_each, sums_between_users


class KernelDistance(SetMetric):
    """Squared MMD of features under the cubic kernel (Bińkowski et al. 2018, section 4), times 1000.

    Unbiased at any number of samples, unlike `fid`, so it may be below 0. All samples enter at once, no random subsets.
    Pairs of images of the same user are dropped, within a set and across: they are alike because they share a taste.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="kid",
        version="1",
        summary="Squared MMD (cubic kernel) between the features of drawn and reference images, times 1000",
        question="fidelity",
        direction="down",
        unit="set",
        recipe="float64,unbiased,no-subsets,same-user-pairs-dropped,x1000",
        source="https://arxiv.org/abs/1801.01401",
        won_by=("copy",),
    )

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The distance. Raises `NotMeasurableError` for under two users a side."""
        check_features(self.card.name, drawn, reference)
        check_users(self.card.name, drawn, reference)
        users = (drawn.users, reference.users)
        return 1000 * float(unbiased_mmd(drawn.features, reference.features, cubic_kernel, users=users))

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """As the contract says, from kernel sums between users: an exchange then only picks among them."""
        self.compare(first, reference)  # refuses what it cannot measure
        sums = sums_between_users(first, second, reference, cubic_kernel)
        return lambda marked: 1000 * sums.difference(marked)

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        """As the contract says, from kernel sums between groups."""
        self.compare(drawn, reference)  # refuses what it cannot measure
        groups, kernel = (of_drawn, of_reference), cubic_kernel
        found = mmd_without_each(drawn, reference, *groups, kernel, same_user_pairs=False)
        return [1000 * value for value in found]

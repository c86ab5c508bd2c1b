"""`kid`: the kernel distance between the features of drawn and of reference images."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Features, FeatureSet, MetricCard, NotMeasurableError, SetMetric
from prefbench.mmd import cubic_kernel, unbiased_mmd

from .fid import check_features

_BLOCK = 256
"""Rows of a kernel matrix held at a time."""


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
        for side, features in (("drawn", drawn), ("reference", reference)):
            if len(np.unique(features.users)) < 2:
                raise NotMeasurableError(f"kid needs {side} images of at least 2 users, there is 1")
        users = (drawn.users, reference.users)
        return 1000 * float(unbiased_mmd(drawn.features, reference.features, cubic_kernel, users=users))

    def exchanged(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """As the contract says, from kernel sums between users: an exchange then only picks among them."""
        self.compare(first, reference)  # refuses what it cannot measure
        names, user = np.unique(first.users, return_inverse=True)
        n, both = len(names), np.concatenate([first.features, second.features])
        place = np.concatenate([user, n + user])
        within = _sums(both, both, place, place, 2 * n, 2 * n)
        within.reshape(2, n, 2, n)[:, np.arange(n), :, np.arange(n)] = 0
        # A reference of a user who drew nothing is compared with all: it stands in the last column.
        known = np.isin(reference.users, names)
        owner = np.where(known, np.searchsorted(names, reference.users).clip(max=n - 1), n)
        across = _sums(both, reference.features, place, owner, 2 * n, n + 1)
        across.reshape(2, n, n + 1)[:, np.arange(n), np.arange(n)] = 0
        size = np.bincount(user)
        pairs = len(user) ** 2 - size @ size
        pairs_across = len(user) * len(owner) - size @ np.bincount(owner, minlength=n + 1)[:n]
        to_reference = across.sum(axis=1)

        def value(taken: NDArray[np.bool_]) -> float:
            return float(within[np.ix_(taken, taken)].sum() / pairs - 2 * to_reference[taken].sum() / pairs_across)

        return lambda marked: 1000 * (value(np.r_[~marked, marked]) - value(np.r_[marked, ~marked]))


def _sums(
    x: Features, y: Features, of_x: NDArray[np.int64], of_y: NDArray[np.int64], groups_x: int, groups_y: int
) -> Features:
    """Sums of the kernel between groups of rows, (groups of x, groups of y), some rows of x at a time."""
    sums = np.zeros((groups_x, groups_y))
    belongs = np.zeros((len(y), groups_y))
    belongs[np.arange(len(y)), of_y] = 1
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        np.add.at(sums, of_x[rows], cubic_kernel(x[rows], y) @ belongs)
    return sums

"""Kernel sums between users: what an exchange of two methods' images, user by user, only has to pick among."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Features, FeatureSet, NotMeasurableError
from prefbench.mmd import Kernel

_BLOCK = 256
"""Rows of a kernel matrix held at a time."""


@dataclass(frozen=True)
class UserSums:
    """Of two methods' images of the same n users, and references: sums of a kernel, and how many pairs each is of.

    Rows and columns are the users of the first method and then those of the second, by name.
    """

    within: Features
    """(2n, 2n): between images."""
    to_reference: Features
    """(2n,): between images and all references."""
    pairs: int
    """Of one method's images among themselves."""
    pairs_to_reference: int

    def difference(self, marked: NDArray[np.bool_]) -> float:
        """What the squared MMD of the first method exceeds that of the second by, where marked users (n,) change sides.

        The references' own term is the same in both and cancels.
        """
        return self._value(np.r_[~marked, marked]) - self._value(np.r_[marked, ~marked])

    def _value(self, taken: NDArray[np.bool_]) -> float:
        own = self.within[np.ix_(taken, taken)].sum() / self.pairs
        return float(own - 2 * self.to_reference[taken].sum() / self.pairs_to_reference)


def sums_of_all(first: FeatureSet, second: FeatureSet, reference: FeatureSet, kernel: Kernel) -> UserSums:
    """Over all pairs, as the V-statistic takes them."""
    within, across, size, _ = _between_users(first, second, reference, kernel)
    n = int(size.sum())
    return UserSums(within, across.sum(axis=1), n**2, n * len(reference))


def sums_between_users(first: FeatureSet, second: FeatureSet, reference: FeatureSet, kernel: Kernel) -> UserSums:
    """Over pairs of different users only."""
    within, across, size, of_reference = _between_users(first, second, reference, kernel)
    n = len(size)
    within.reshape(2, n, 2, n)[:, np.arange(n), :, np.arange(n)] = 0
    across.reshape(2, n, n + 1)[:, np.arange(n), np.arange(n)] = 0
    pairs = int(size.sum() ** 2 - size @ size)
    return UserSums(within, across.sum(axis=1), pairs, int(size.sum() * len(reference) - size @ of_reference[:n]))


def check_users(metric: str, drawn: FeatureSet, reference: FeatureSet) -> None:
    """Raises `NotMeasurableError` where no pair of different users is left on a side."""
    for side, features in (("drawn", drawn), ("reference", reference)):
        if len(np.unique(features.users)) < 2:
            raise NotMeasurableError(f"{metric} needs {side} images of at least 2 users, there is 1")


def _between_users(
    first: FeatureSet, second: FeatureSet, reference: FeatureSet, kernel: Kernel
) -> tuple[Features, Features, NDArray[np.int64], NDArray[np.int64]]:
    """Sums (2n, 2n) and (2n, n + 1), images (n,) a user, references (n + 1,) a user."""
    names, user = np.unique(first.users, return_inverse=True)
    n, both = len(names), np.concatenate([first.features, second.features])
    place = np.concatenate([user, n + user])
    # A reference of a user who drew nothing is compared with all: it stands in the last column.
    known = np.isin(reference.users, names)
    owner = np.where(known, np.searchsorted(names, reference.users).clip(max=n - 1), n)
    within = _sums(both, both, place, place, 2 * n, 2 * n, kernel)
    across = _sums(both, reference.features, place, owner, 2 * n, n + 1, kernel)
    return within, across, np.bincount(user), np.bincount(owner, minlength=n + 1)


def _sums(
    x: Features,
    y: Features,
    of_x: NDArray[np.int64],
    of_y: NDArray[np.int64],
    groups_x: int,
    groups_y: int,
    kernel: Kernel,
) -> Features:
    """Sums of the kernel between groups of rows, (groups of x, groups of y), some rows of x at a time."""
    sums = np.zeros((groups_x, groups_y))
    belongs = np.zeros((len(y), groups_y))
    belongs[np.arange(len(y)), of_y] = 1
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        np.add.at(sums, of_x[rows], kernel(x[rows], y) @ belongs)
    return sums

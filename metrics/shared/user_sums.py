"""Sums of a kernel between users' images, computed once: permuted and left-out values are sums over some of them.

MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y). Each mean is a sum over pairs of users divided by a count, so
from the sums of all pairs of users, the value of another assignment of users to sets takes additions only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Features, FeatureSet, NotMeasurableError
from prefbench.stats.mmd import Kernel

Groups = NDArray[np.int64]
Owners = tuple[NDArray[np.str_], NDArray[np.str_]]
_BLOCK = 256
"""Rows of a kernel matrix held at a time."""


@dataclass(frozen=True)
class UserSums:
    """Sums of a kernel over pairs of images of two methods for the same n users, and of references.

    Rows and columns are the users of the first method and then those of the second, by name.
    """

    within: Features
    """(2n, 2n): between images."""
    to_reference: Features
    """(2n,): between images and all references."""
    pairs: int
    """Number of pairs among one method's images."""
    pairs_to_reference: int

    def difference(self, marked: NDArray[np.bool_]) -> float:
        """MMD²(first) - MMD²(second) after the two methods' images of the marked users (n,) change sides.

        The references' own term, mean k(y, y'), is the same in both and cancels.
        """
        return self._value(np.r_[~marked, marked]) - self._value(np.r_[marked, ~marked])

    def _value(self, members: NDArray[np.bool_]) -> float:
        own = self.within[np.ix_(members, members)].sum() / self.pairs
        return float(own - 2 * self.to_reference[members].sum() / self.pairs_to_reference)


def sums_of_all(first: FeatureSet, second: FeatureSet, reference: FeatureSet, kernel: Kernel) -> UserSums:
    """Sums over all pairs, as the V-statistic takes them: m² within and m r across, for m images and r references."""
    within, across, size, _ = _between_users(first, second, reference, kernel)
    n = int(size.sum())
    return UserSums(within, across.sum(axis=1), n**2, n * len(reference))


def sums_between_users(first: FeatureSet, second: FeatureSet, reference: FeatureSet, kernel: Kernel) -> UserSums:
    """Sums over pairs of different users u: m² - Σ m_u² within and m r - Σ m_u r_u across (r references)."""
    within, across, size, of_reference = _between_users(first, second, reference, kernel)
    n = len(size)
    within.reshape(2, n, 2, n)[:, np.arange(n), :, np.arange(n)] = 0
    across.reshape(2, n, n + 1)[:, np.arange(n), np.arange(n)] = 0
    pairs = int(size.sum() ** 2 - size @ size)
    return UserSums(within, across.sum(axis=1), pairs, int(size.sum() * len(reference) - size @ of_reference[:n]))


def _between_users(
    first: FeatureSet, second: FeatureSet, reference: FeatureSet, kernel: Kernel
) -> tuple[Features, Features, NDArray[np.int64], NDArray[np.int64]]:
    """Sums (2n, 2n) and (2n, n + 1); images (n,) per user; references (n + 1,) per user."""
    names, user = np.unique(first.users, return_inverse=True)
    n, both = len(names), np.concatenate([first.features, second.features])
    side_and_user = np.concatenate([user, n + user])
    # A reference of a user who drew nothing is compared with all: its sums stand in the last column.
    drew = np.isin(reference.users, names)
    owner = np.where(drew, np.searchsorted(names, reference.users).clip(max=n - 1), n)
    within = _sums(both, both, side_and_user, side_and_user, 2 * n, 2 * n, kernel)
    across = _sums(both, reference.features, side_and_user, owner, 2 * n, n + 1, kernel)
    return within, across, np.bincount(user), np.bincount(owner, minlength=n + 1)


def mmd_without_each(
    drawn: FeatureSet,
    reference: FeatureSet,
    of_drawn: NDArray[np.int64],
    of_reference: NDArray[np.int64],
    kernel: Kernel,
    *,
    same_user_pairs: bool,
) -> list[float]:
    """Leave-one-out MMD² for each group, over all pairs or over pairs of different users only.

    Group -1, which always stays, becomes group 0 of the sums; leaving group g out drops row and column g + 1.
    """
    count = int(of_drawn.max()) + 2

    def sums_and_pairs(x: FeatureSet, of_x: Groups, y: FeatureSet, of_y: Groups) -> tuple[Features, Features]:
        owners = None if same_user_pairs else (x.users, y.users)
        sums = _sums(x.features, y.features, of_x, of_y, count, count, kernel, owners)
        return sums, _pairs(of_x, of_y, count, owners)

    own, other = (drawn, of_drawn + 1), (reference, of_reference + 1)
    among_own, among_others = sums_and_pairs(*own, *own), sums_and_pairs(*other, *other)
    between = sums_and_pairs(*own, *other)
    return [
        _mean(*among_own, staying) + _mean(*among_others, staying) - 2 * _mean(*between, staying)
        for staying in ~np.eye(count, dtype=np.bool_)[1:]
    ]


def _mean(sums: Features, pairs: Features, staying: NDArray[np.bool_]) -> float:
    """Mean kernel over the pairs of the groups that stay: Σ_ab S_ab / Σ_ab pairs_ab."""
    both = np.ix_(staying, staying)
    if not pairs[both].sum():
        raise NotMeasurableError("without some users or a prompt, no two images of different users are left")
    return float(sums[both].sum() / pairs[both].sum())


def _pairs(of_x: NDArray[np.int64], of_y: NDArray[np.int64], count: int, owners: Owners | None) -> Features:
    """Pairs between groups a and b, (count, count): n_a n_b, minus Σ_u n_au n_bu of the same owner if `owners`."""
    pairs: Features = np.outer(*(np.bincount(of, minlength=count) for of in (of_x, of_y))).astype(np.float64)
    if owners is None:
        return pairs
    user = np.unique(np.concatenate(owners), return_inverse=True)[1]
    users, (one, other) = user.max() + 1, np.split(user, [len(of_x)])
    tables = [
        np.bincount(owner * count + of, minlength=users * count).reshape(users, count)
        for owner, of in ((one, of_x), (other, of_y))
    ]
    return pairs - tables[0].T @ tables[1]


def _sums(
    x: Features,
    y: Features,
    of_x: NDArray[np.int64],
    of_y: NDArray[np.int64],
    groups_x: int,
    groups_y: int,
    kernel: Kernel,
    owners: Owners | None = None,
) -> Features:
    """Sums of the kernel between groups of rows, (groups of x, groups of y), some rows of x at a time.

    With the `owners` of all rows, only over pairs of different owners.
    """
    sums = np.zeros((groups_x, groups_y))
    belongs = np.zeros((len(y), groups_y))
    belongs[np.arange(len(y)), of_y] = 1
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        values = kernel(x[rows], y)
        if owners is not None:
            values = np.where(owners[0][rows, None] == owners[1][None], 0, values)
        np.add.at(sums, of_x[rows], values @ belongs)
    return sums

"""Sums of a kernel between users' images, computed once: permuted and left-out values are sums over some of them.

MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y). Each mean is a sum over pairs of groups divided by a count, so
from the sums of all pairs of groups, the value without one, or of users that change sides, takes additions only. Pairs
of one user or of one prompt are left out of sums and counts alike.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Features, FeatureSet, NotMeasurableError
from prefbench.stats.mmd import Kernel, apart, group_codes

_FIELDS = [field.name for field in fields(FeatureSet)]
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
    pairs: float
    """Number of pairs among one method's images."""
    pairs_to_reference: float

    def difference(self, marked: NDArray[np.bool_]) -> float:
        """MMD²(first) - MMD²(second) after the two methods' images of the marked users (n,) change sides.

        The references' own term, mean k(y, y'), is the same in both and cancels.
        """
        return self._value(np.r_[~marked, marked]) - self._value(np.r_[marked, ~marked])

    def _value(self, members: NDArray[np.bool_]) -> float:
        own = self.within[np.ix_(members, members)].sum() / self.pairs
        return float(own - 2 * self.to_reference[members].sum() / self.pairs_to_reference)


def sums_between_users(
    first: FeatureSet, second: FeatureSet, reference: FeatureSet, kernel: Kernel, *, all_pairs: bool
) -> UserSums:
    """Sums over all pairs, as the V-statistic takes them, or over pairs of different users and prompts.

    Both sets hold the same users and prompts row by row, so every exchange of users leaves the same pairs.
    """
    names, user = np.unique(first.users, return_inverse=True)
    n, of_reference = len(names), np.zeros(len(reference), dtype=np.int64)
    both = FeatureSet(*(np.concatenate([getattr(s, name) for s in (first, second)]) for name in _FIELDS))
    rows = Rows(both, np.concatenate([user, n + user]), 2 * n)
    within = _pair_sums(rows, rows, kernel, all_pairs=all_pairs)
    across = _pair_sums(rows, Rows(reference, of_reference, 1), kernel, all_pairs=all_pairs)
    return UserSums(within.sums, across.sums[:, 0], within.pairs[:n, :n].sum(), across.pairs[:n].sum())


def mmd_without_each(
    drawn: FeatureSet,
    reference: FeatureSet,
    of_drawn: NDArray[np.int64],
    of_reference: NDArray[np.int64],
    kernel: Kernel,
    *,
    all_pairs: bool,
) -> list[float]:
    """Leave-one-out MMD² for each group, over all pairs or over pairs of different users and prompts only.

    Group -1, which always stays, becomes group 0 of the sums; leaving group g out drops row and column g + 1.
    """
    count = int(of_drawn.max()) + 2
    own, other = Rows(drawn, of_drawn + 1, count), Rows(reference, of_reference + 1, count)
    sums = [_pair_sums(*pair, kernel, all_pairs=all_pairs) for pair in ((own, own), (other, other), (own, other))]
    values = []
    for staying in ~np.eye(count, dtype=np.bool_)[1:]:
        among_own, among_others, between = (one.mean(staying) for one in sums)
        values.append(among_own + among_others - 2 * between)
    return values


class Rows(NamedTuple):
    """Images with the group that each is in, of `n_groups` groups."""

    images: FeatureSet
    groups: NDArray[np.int64]
    n_groups: int


class PairSums(NamedTuple):
    """Sums of a kernel over pairs of groups (groups of x, groups of y), and how many pairs each is of."""

    sums: Features
    pairs: Features

    def mean(self, staying: NDArray[np.bool_]) -> float:
        """Mean kernel over the pairs of the groups that stay: sum_ab S_ab / sum_ab pairs_ab."""
        both = np.ix_(staying, staying)
        if not self.pairs[both].sum():
            raise NotMeasurableError(
                "without some users or a prompt, no two images of different users and prompts are left"
            )
        return float(self.sums[both].sum() / self.pairs[both].sum())


def _pair_sums(x: Rows, y: Rows, kernel: Kernel, *, all_pairs: bool) -> PairSums:
    """Sums over pairs of x and y, some rows of x at a time: two matrix products with the indicators of groups."""
    sums, pairs = np.zeros((2, x.n_groups, y.n_groups))
    of_x, of_y = (np.eye(rows.n_groups)[rows.groups] for rows in (x, y))
    codes = group_codes((x.images.users, y.images.users), (x.images.prompts, y.images.prompts))
    for start in range(0, len(x.images), _BLOCK):
        rows = slice(start, start + _BLOCK)
        values, counted = kernel(x.images.features[rows], y.images.features), np.ones((1, 1))
        if not all_pairs:
            counted = apart(codes[0][rows], codes[1]).astype(np.float64)
            values = values * counted
        sums += of_x[rows].T @ (values @ of_y)
        pairs += of_x[rows].T @ (np.broadcast_to(counted, values.shape) @ of_y)
    return PairSums(sums, pairs)

"""Kernel distances of a whole table of users x prompts without each user and each prompt, from a few sums.

The same numbers as `score.sets.jackknife` in the hundredth of the time for 100 users x 20 prompts, so that studies can
be simulated by the hundred. Images lie user by user, each prompt once; references have the same users and prompts of
their own; pairs of one user or one prompt are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, FloatArray
from prefbench.stats.mmd import GaussianMixture, Kernel, squared_distances

_GROUPS = 50
"""At most so many groups of users are left out, as in `score.sets`."""


class LeftOut(NamedTuple):
    """A distance, and its values without each group of users and without each prompt."""

    value: float
    users: FloatArray
    prompts: FloatArray


class _Sums(NamedTuple):
    """Sums of a kernel and numbers of pairs, between groups of users (G, G) and between prompts (P, P) or (P,)."""

    sums: FloatArray
    pairs: FloatArray

    def without_each(self) -> FloatArray:
        """The mean without each row and column."""
        kept = [total.sum() - total.sum(axis=0) - total.sum(axis=1) + np.diag(total) for total in self]
        return np.asarray(kept[0] / kept[1])

    def mean(self) -> float:
        return float(self.sums.sum() / self.pairs.sum())


def kernel_without_each(kernel: Kernel, drawn: FeatureSet, reference: FeatureSet) -> LeftOut:
    """1000 x MMD² = 1000 (E k(x, x') + E k(y, y') - 2 E k(x, y)) of crossed images x, and without each."""
    kernel = _halving(kernel) if isinstance(kernel, GaussianMixture) else kernel
    users, prompts = len(np.unique(drawn.users)), len(np.unique(drawn.prompts))
    member = _members(drawn.users, users)
    within = kernel(drawn.features, drawn.features).reshape(users, prompts, users, prompts)
    by_user = within.sum(axis=(1, 3)) - np.einsum("upvp->uv", within)
    by_prompt = within.sum(axis=(0, 2)) - np.einsum("upuq->pq", within)
    apart = _off_diagonal(users)
    own = _grouped(by_user * apart, apart * prompts * (prompts - 1), member)
    own_prompts = _Sums(by_prompt * _off_diagonal(prompts), _off_diagonal(prompts) * users * (users - 1))
    beside = _among_references(kernel, reference, member)
    across = kernel(drawn.features, reference.features).reshape(users, prompts, users, prompts).sum(axis=3)
    between = _grouped(across.sum(axis=1) * apart, apart * prompts**2, member)
    of_prompt = np.einsum("upv,uv->p", across, apart)
    without_prompt = (of_prompt.sum() - of_prompt) / (apart.sum() * prompts * (prompts - 1))
    return LeftOut(
        1000 * (own.mean() + beside.mean() - 2 * between.mean()),
        1000 * (own.without_each() + beside.without_each() - 2 * between.without_each()),
        1000 * (own_prompts.without_each() + beside.mean() - 2 * without_prompt),
    )


def _halving(mixture: GaussianMixture) -> Kernel:
    """A mixture whose widths halve, with one exponential: half the width takes it to the fourth power."""
    widths = np.sort(mixture.widths)[::-1]
    assert np.allclose(widths[:-1], 2 * widths[1:])

    def kernel(x: FloatArray, y: FloatArray) -> FloatArray:
        power = np.exp(squared_distances(x, y) / (-2 * widths[0] ** 2))
        total = power.copy()
        for _ in widths[1:]:
            power *= power
            power *= power
            total += power
        return np.asarray(total / len(widths))

    return kernel


def _members(names: NDArray[np.str_], users: int) -> FloatArray:
    """(users, groups): 1 where a user, in the order of the rows, is in a group."""
    first_rows = names[:: len(names) // users]
    place = np.argsort(np.argsort(first_rows))
    return np.eye(min(users, _GROUPS))[place % _GROUPS]


def _grouped(sums: FloatArray, pairs: FloatArray, member: FloatArray) -> _Sums:
    return _Sums(member.T @ sums @ member, member.T @ pairs @ member)


def _off_diagonal(n: int) -> FloatArray:
    return np.ones((n, n)) - np.eye(n)


def _among_references(kernel: Kernel, reference: FeatureSet, member: FloatArray) -> _Sums:
    users, names = len(member), np.unique(reference.prompts, return_inverse=True)[1]
    differ = (names[:, None] != names).astype(np.float64)
    each = len(names) // users
    sums, pairs = (
        table.reshape(users, each, users, each).sum(axis=(1, 3)) * _off_diagonal(users)
        for table in (kernel(reference.features, reference.features) * differ, differ)
    )
    return _grouped(sums, pairs, member)

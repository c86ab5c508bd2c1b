"""Paired tests between two methods: Student's t over users and prompts, permutation tests, Holm's adjustment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Estimate, Scores
from prefbench.stats import proportions
from prefbench.stats.bootstrap import widened
from prefbench.stats.resampling import CHUNK, Floats, Table
from prefbench.stats.scores import aligned, user_means

_EXACT_USERS = 12
"""Up to so many users all 2**n sign flips are enumerated."""


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods with its interval, and the p value of no difference at all."""

    estimate: Estimate
    p_value: float | None


def paired_difference(
    a: Scores, b: Scores, *, replicates: int = 10_000, level: float = 0.95, seed: int = 0
) -> Difference:
    """`a` minus `b` on the same keys; a row that either lacks is missing. Interval as in `crossed_bootstrap`.

    The p value is the larger of two. One speaks of new users and new prompts: Student's t on what users, and what
    shared prompts beyond chance, add to the variance (`resampling.student`). The other is that of `sign_flip` over
    users: exact for few users, but it answers for these prompts alone and finds differences that other prompts do not
    have. The interval is more cautious than the p value where neither users nor prompts differ.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    a, b = aligned([a, b])
    apart = a.values - b.values
    table = Table.of(a.users, a.prompts, [apart])
    value, drawn = float(table.means()[0]), table.replicate(replicates, seed)[:, 0]
    found = table.estimate(value, drawn, table.errors(), level)
    if a.bounds == b.bounds and None not in a.bounds:
        gains = Table.of(a.users, a.prompts, [apart, apart.clip(0), (-apart).clip(0)])
        found = widened(found, proportions.difference(gains, a.bounds, level))
    p_values = _p_values(table, Scores(apart, a.users, a.prompts), replicates, seed)
    return Difference(found, max((p for p in p_values if p is not None), default=None))


class PairedPValues(NamedTuple):
    """The two p values of no difference that a paired test has: both must be small."""

    student: float | None
    flips: float | None


def paired_p_values(differences: Scores, *, replicates: int = 10_000, seed: int = 0) -> PairedPValues:
    """Of differences sample by sample: Student's t over users and prompts, None for one user; sign flips over users."""
    table = Table.of(differences.users, differences.prompts, [differences.values])
    return _p_values(table, differences, replicates, seed)


def _p_values(table: Table, differences: Scores, replicates: int, seed: int) -> PairedPValues:
    flipped = sign_flip(user_means(differences), replicates=replicates, seed=seed)
    return PairedPValues(table.p_value(), flipped)


def sign_flip(differences: Floats, *, replicates: int = 10_000, seed: int = 0) -> float | None:
    """Two-sided p value of a zero mean when the sign of every user's difference is arbitrary.

    Exact over all 2**n flips for up to 12 users; else the share of random flips with the observed one counted in.
    None for no users.
    """
    n = len(differences)
    if n == 0:
        return None
    # Sums in another order differ by rounding; a flip that ties with the observed one must count.
    bound = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    hits = [np.abs(signs @ differences) >= bound for signs in flips(n, replicates=replicates, seed=seed)]
    return float(share_of_flips(np.concatenate(hits).sum(), n, replicates))


def flips(users: int, *, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Signs of users, (R, users) at a time: all 2**users of them for up to 12 users, else so many at random."""
    if users <= _EXACT_USERS:
        yield 1 - 2 * (np.arange(2**users)[:, None] >> np.arange(users) & 1)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, CHUNK):
        yield 1 - 2 * rng.integers(0, 2, (min(CHUNK, replicates - start), users), dtype=np.int8).astype(np.int64)


def share_of_flips(hits: NDArray[np.int64], users: int, replicates: int) -> Floats:
    """The p values of so many extreme flips; where these are random, the observed one is counted in."""
    return hits / 2**users if users <= _EXACT_USERS else (1 + hits) / (1 + replicates)


def label_swap(
    users: int, difference: Callable[[NDArray[np.bool_]], float], *, replicates: int = 499, seed: int = 0
) -> float:
    """Two-sided p value of a difference between two methods in a metric over sets, by users whose labels are swapped.

    If both methods are alike, which of them drew what is arbitrary for each user.

    Args:
        users: how many there are.
        difference: the metric's difference where, of the users marked (users,), the two methods' images are exchanged.

    Returns:
        The share of replicates at least as far from zero as the observed difference, that one counted in.

    Raises:
        ValueError: no users or replicates, or a difference that is not finite.
    """
    if min(users, replicates) < 1:
        raise ValueError(f"swapping labels needs users and replicates, got {users} and {replicates}")
    rng = np.random.default_rng(seed)
    swaps = [np.zeros(users, dtype=np.bool_), *(rng.random(users) < 0.5 for _ in range(replicates))]
    observed, *drawn = np.abs([difference(swapped) for swapped in swaps])
    if not np.isfinite([observed, *drawn]).all():
        raise ValueError("a difference between sets is not finite, so it cannot be tested")
    return float(1 + (np.array(drawn) >= observed * (1 - 1e-12)).sum()) / (1 + replicates)


def holm(p_values: Sequence[float]) -> Floats:
    """Holm's step-down adjusted p values (K,), in the given order: their family-wise error is controlled at once.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values lie in [0, 1], got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted

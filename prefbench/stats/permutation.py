"""Permutation tests whose unit is the user: sign flips of paired differences, swaps of two methods' images.

`scipy.stats.permutation_test` does the same, and the tests compare with it. It is not used because it draws other
random permutations from a seed, which would change published p values, because it gives no interval, and because the
flips here are drawn once for all columns of a report and for all tests without one user or prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.stats.scores import TIE

_CHUNK = 256
"""Flips at a time: of 10,000 users their signs take 20 MB."""
_EXACT_USERS = 12
"""Up to so many users all 2**n sign flips are enumerated."""
_CACHED_CELLS = 4_000_000
"""Flips with at most so many signs (32 MB) are kept."""


@dataclass(frozen=True)
class SignFlips:
    """The sign-flip test of any mean, where the sign of every user's distance to that mean is arbitrary.

    A flip splits users in two parts, A flipped and B not. Shifted by d, its sum is at least as far from 0 as the
    observed one just where (sum_A - n_A d) (sum_B - n_B d) <= 0: for d between the means of A and B. So each flip
    is a range of means that it speaks for, around the observed mean, and the test turns into an interval.
    """

    low: FloatArray
    """(R,) the lower of the two parts' means in each flip, in rising order; -inf where all signs are equal."""
    high: FloatArray
    """(R,) the higher, in falling order; inf where all signs are equal."""
    exact: bool
    """All flips were enumerated; else they are random, and the observed one is counted in."""
    tolerance: float

    @classmethod
    def of(cls, values: FloatArray, *, replicates: int = 10_000, seed: int = 0) -> SignFlips:
        """The flips of users' means (N,): all 2**N for up to 12 users, else `replicates` at random."""
        n, total = len(values), values.sum()
        ranges = [_ranges(signs, values, total) for signs in flips(n, replicates=replicates, seed=seed)]
        low, high = (np.concatenate([one[side] for one in ranges]) for side in range(2))
        tolerance = TIE * float(np.abs(values).max(initial=0.0))
        return cls(np.sort(low), np.sort(high)[::-1], n <= _EXACT_USERS, tolerance)

    @property
    def p_value(self) -> float:
        """Two-sided, of a zero mean."""
        # All ranges hold the observed mean, so that one which misses 0 does so on the side of that mean.
        hits = min((self.low <= self.tolerance).sum(), (self.high >= -self.tolerance).sum())
        return float(hits / len(self.low) if self.exact else (1 + hits) / (1 + len(self.low)))

    def interval(self, level: float) -> tuple[float, float]:
        """The means with a p value of at least 1 - level; infinite where there are too few users to exclude any."""
        needed = (1 - level) * (len(self.low) if self.exact else 1 + len(self.low)) - (not self.exact)
        place = max(0, math.ceil(needed - 1e-9) - 1)
        return float(self.low[place]) - self.tolerance, float(self.high[place]) + self.tolerance


def _ranges(signs: FloatArray, values: FloatArray, total: float) -> tuple[FloatArray, FloatArray]:
    flipped = signs < 0
    n = flipped.sum(axis=1)
    sums, others = flipped @ values, len(values) - n
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.stack([sums / n, (total - sums) / others])
    whole = (n == 0) | (others == 0)
    return np.where(whole, -np.inf, parts.min(axis=0)), np.where(whole, np.inf, parts.max(axis=0))


def sign_flip(differences: FloatArray, *, replicates: int = 10_000, seed: int = 0) -> float | None:
    """Two-sided p value of a zero mean, where the sign of every user's difference is arbitrary.

    Args:
        differences: one per user, (N,).
        replicates: random flips for more than 12 users; for fewer all 2**N are counted.

    Returns:
        The share of flips whose sum is at least as far from 0 as the observed one; random ones with the observed one
        counted in. None for no users.

    Example:
        >>> sign_flip(np.array([0.2, 0.3, 0.4]))
        0.25
    """
    return SignFlips.of(differences, replicates=replicates, seed=seed).p_value if len(differences) else None


def fewest_users(alpha: float) -> int:
    """The fewest users of whom the exact test can fall under alpha: the smallest n with 2 / 2**n < alpha.

    Example:
        >>> fewest_users(0.05)
        6
    """
    return math.floor(math.log2(2 / alpha)) + 1


def flips(users: int, *, replicates: int, seed: int) -> Iterator[FloatArray]:
    """Signs of users, (R, users) at a time: all 2**users of them for up to 12 users, else `replicates` at random."""
    if users <= _EXACT_USERS:
        yield (1 - 2 * (np.arange(2**users)[:, None] >> np.arange(users) & 1)).astype(np.float64)
    elif users * replicates <= _CACHED_CELLS:
        yield from _cached(users, replicates, seed)
    else:
        yield from _random(users, replicates, seed)


@lru_cache(maxsize=4)
def _cached(users: int, replicates: int, seed: int) -> tuple[FloatArray, ...]:
    return tuple(_random(users, replicates, seed))


def _random(users: int, replicates: int, seed: int) -> Iterator[FloatArray]:
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, _CHUNK):
        yield (1 - 2 * rng.integers(0, 2, (min(_CHUNK, replicates - start), users), dtype=np.int8)).astype(np.float64)


def share_of_flips(hits: NDArray[np.int64], users: int, replicates: int) -> FloatArray:
    """The p values of so many extreme flips; where these are random, the observed one is counted in."""
    return hits / 2**users if users <= _EXACT_USERS else (1 + hits) / (1 + replicates)


def label_swap(
    users: int, difference: Callable[[NDArray[np.bool_]], float], *, replicates: int = 499, seed: int = 0
) -> float:
    """Two-sided p value of a difference between two methods in a set-level metric, by users whose labels are swapped.

    If both methods are alike, which of them drew what is arbitrary for each user. It speaks of these prompts alone: two
    methods that differ from prompt to prompt and not on average are called different, by a third and more of tests. A
    contrast therefore takes it together with `jackknife.jackknife_test`.

    Args:
        users: how many there are.
        difference: the metric's difference after exchanging the two methods' images of the marked users (users,).

    Returns:
        The share of replicates at least as far from zero as the observed difference, that one counted in.

    Raises:
        ValueError: no users or replicates, or a difference that is not finite.
    """
    if min(users, replicates) < 1:
        raise ValueError(f"swapping labels needs users and replicates, got {users} and {replicates}")
    rng = np.random.default_rng(seed)
    swaps = [np.zeros(users, dtype=np.bool_), *(rng.random(users) < 0.5 for _ in range(replicates))]
    observed, *permuted = np.abs([difference(swapped) for swapped in swaps])
    if not np.isfinite([observed, *permuted]).all():
        raise ValueError("a difference between sets is not finite, so it cannot be tested")
    return float(1 + (np.array(permuted) >= observed * (1 - TIE)).sum()) / (1 + replicates)

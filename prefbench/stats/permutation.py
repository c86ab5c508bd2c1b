"""Permutation tests whose unit is the user: sign flips of paired differences, swaps of two methods' images.

`scipy.stats.permutation_test` does the same, and the tests compare with it. It is not used because it draws other
random permutations from a seed, which would change published p values, and because the flips here are drawn once for
all columns of a report and for all tests without one user or prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.stats.resampling import CHUNK

_EXACT_USERS = 12
"""Up to so many users all 2**n sign flips are enumerated."""
_CACHED_CELLS = 4_000_000
"""Flips with at most so many signs (32 MB) are kept."""


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
    n = len(differences)
    if n == 0:
        return None
    # Sums in another order differ by rounding; a flip that ties with the observed one must count.
    bound = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    hits = [np.abs(signs @ differences) >= bound for signs in flips(n, replicates=replicates, seed=seed)]
    return float(share_of_flips(np.concatenate(hits).sum(), n, replicates))


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
    for start in range(0, replicates, CHUNK):
        yield (1 - 2 * rng.integers(0, 2, (min(CHUNK, replicates - start), users), dtype=np.int8)).astype(np.float64)


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
    return float(1 + (np.array(permuted) >= observed * (1 - 1e-12)).sum()) / (1 + replicates)

"""How often a bootstrap replicate holds each user and prompt: the same draws for metrics with equal users and prompts.

Both factors are resampled with replacement, independently: Owen, "The pigeonhole bootstrap", 2007 (arXiv 0712.1111).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray

CHUNK = 256
"""Replicates at a time: at 10,000 users their multiplicities take 20 MB."""
_CACHED_CELLS = 4_000_000
"""Draws with at most so many numbers (32 MB) are kept, so that the columns of a report share them."""


class Multiplicities(NamedTuple):
    """How often each user (R, users) and each shared prompt (R, prompts) is drawn in R replicates, float64."""

    users: FloatArray
    prompts: FloatArray


def multiplicities(users: int, prompts: int, *, replicates: int, seed: int) -> Iterator[Multiplicities]:
    """The draws of all replicates, at most `CHUNK` of them at a time; none for fewer than two users."""
    if users < 2:
        return
    if replicates * (users + prompts) <= _CACHED_CELLS:
        yield from _cached(users, prompts, replicates, seed)
    else:
        yield from _drawn(users, prompts, replicates, seed)


@lru_cache(maxsize=4)
def _cached(users: int, prompts: int, replicates: int, seed: int) -> tuple[Multiplicities, ...]:
    return tuple(_drawn(users, prompts, replicates, seed))


def _drawn(users: int, prompts: int, replicates: int, seed: int) -> Iterator[Multiplicities]:
    streams = np.random.default_rng(seed).spawn(2)
    for start in range(0, replicates, CHUNK):
        size = min(CHUNK, replicates - start)
        yield Multiplicities(_counts(streams[0], size, users), _counts(streams[1], size, prompts))


def _counts(rng: np.random.Generator, size: int, n: int) -> FloatArray:
    """How often each of n things is drawn in n draws with replacement, (size, n)."""
    if n == 0:
        return np.empty((size, 0))
    draws = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(draws.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)

"""Scores of one method on one metric: the rows that every statistic is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefbench.api.records import Bounds
from prefbench.stats.resampling import Floats, Names

ROUNDING = 1e-9
"""By which scores may leave their bounds."""


@dataclass(frozen=True)
class Scores:
    """One method's values of one metric, a row a sample; NaN is missing, and is counted as such, never as 0.

    Args:
        values: float64 (N,).
        users, prompts: (N,) the user and the prompt of each row.
        keys: (N,) what pairs a row with the same row of another method, such as case and sample index; unique. Without
            keys, methods must hold their rows in the same order.
        bounds: of proportions, the least and the greatest value there can be: intervals then allow for exceptions that
            are so rare that a sample may hold none (`rare.proportion`).
    """

    values: Floats
    users: Names
    prompts: Names
    keys: Names | None = None
    bounds: Bounds = (None, None)

    def __post_init__(self) -> None:
        columns = [self.values, self.users, self.prompts, *([] if self.keys is None else [self.keys])]
        if len({column.shape for column in columns}) != 1 or self.values.ndim != 1:
            raise ValueError(f"columns of scores differ in shape: {[column.shape for column in columns]}")
        if np.isinf(self.values).any():
            raise ValueError("scores hold infinite values; mark what is missing as NaN")
        low, high = self.bounds
        if low is not None and high is not None:
            if not low < high:
                raise ValueError(f"bounds {self.bounds} hold no interval")
            if (self.values < low - ROUNDING).any() or (self.values > high + ROUNDING).any():
                raise ValueError(f"scores leave their bounds {self.bounds}")

    def __len__(self) -> int:
        return len(self.values)

    def select(self, rows: NDArray[Any]) -> Scores:
        """Only some rows, by a mask or by their places."""
        keys = None if self.keys is None else self.keys[rows]
        return Scores(self.values[rows], self.users[rows], self.prompts[rows], keys, self.bounds)


def user_means(scores: Scores) -> Floats:
    """The mean of each user's values (users,), of users who have any, in the order of their names."""
    kept = ~np.isnan(scores.values)
    user = np.unique(scores.users[kept], return_inverse=True)[1]
    return np.asarray(np.bincount(user, weights=scores.values[kept]) / np.bincount(user))


def aligned(methods: Sequence[Scores]) -> list[Scores]:
    """The same methods with their rows in one order.

    Raises:
        ValueError: they are not scored on the same keys.
    """
    ordered = [_by_key(scores) for scores in methods]
    first = ordered[0]
    for other in ordered[1:]:
        for name in ("keys", "users", "prompts"):
            left, right = getattr(first, name), getattr(other, name)
            if (left is None) != (right is None) or (left is not None and not np.array_equal(left, right)):
                raise ValueError(f"methods must be scored on the same samples, but their {name} differ")
    return ordered


def _by_key(scores: Scores) -> Scores:
    if scores.keys is None:
        return scores
    order = np.unique(scores.keys, return_index=True)[1]
    if len(order) != len(scores):
        raise ValueError("keys of scores are not unique")
    return scores.select(order)

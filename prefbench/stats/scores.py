"""Scores of one method on one metric: the rows that every statistic is computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefbench.api import FloatArray, Scores

TIE = 1e-6
"""Values that differ by at most this share of the largest value among them are tied: scores come from float32 networks,
whose last digits depend on the batch. Ranks, wins, strengths and tests all count ties by it."""


def user_means(scores: Scores) -> FloatArray:
    """The mean of each user's values (users,), of users who have any, in the order of their names."""
    present = ~np.isnan(scores.values)
    user = np.unique(scores.users[present], return_inverse=True)[1]
    return np.asarray(np.bincount(user, weights=scores.values[present]) / np.bincount(user))


def differences(a: Scores, b: Scores) -> Scores:
    """`a` minus `b`, row by row of aligned scores, 0 for ties; between what the bounds of both allow.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    a, b = aligned([a, b])
    low, high = a.bounds
    known = a.bounds == b.bounds and low is not None and high is not None
    bounds = (low - high, high - low) if known and low is not None and high is not None else (None, None)
    values = without_ties(a.values - b.values, scale_of(a, b)).clip(*bounds)
    return Scores(values, a.users, a.prompts, a.keys, bounds, max(a.unpaired, b.unpaired))


def scale_of(*scores: Scores) -> float:
    """The largest size of any value, which `TIE` is a share of; 0 without any."""
    return max((float(np.nanmax(np.abs(s.values), initial=0.0)) for s in scores), default=0.0)


def without_ties(values: FloatArray, scale: float) -> FloatArray:
    """Differences of values of at most this size, of any shape, with 0 for ties."""
    return np.where(np.abs(values) <= TIE * scale, 0.0, values)


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

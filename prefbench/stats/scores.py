"""Scores of one method on one metric: the rows that every statistic is computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefbench.api import FloatArray, Scores


def user_means(scores: Scores) -> FloatArray:
    """The mean of each user's values (users,), of users who have any, in the order of their names."""
    present = ~np.isnan(scores.values)
    user = np.unique(scores.users[present], return_inverse=True)[1]
    return np.asarray(np.bincount(user, weights=scores.values[present]) / np.bincount(user))


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

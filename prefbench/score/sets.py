"""The stored values of a metric over sets: its value, its floor, and its values without some users or a prompt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, SetMetric

SET_KEY = "set"
FLOOR_KEY = "floor"
WITHOUT_KEYS = ("without/user/", "without/prompt/")
"""Prefixes of a set metric's values without one group of users, and without one prompt."""
_JACKKNIFE = 50


def jackknife(metric: SetMetric, drawn: FeatureSet, reference: FeatureSet) -> dict[str, float]:
    """The metric without each group of users, on both sides, and without each prompt: what its interval is made of.

    A group is one user or prompt, or more where there are over 50 of them. Fewer than three give no values.
    """
    by_user, by_prompt = WITHOUT_KEYS
    users = _groups(drawn.users)
    groupings = {
        by_user: (_group_of(drawn.users, users), _group_of(reference.users, users)),
        by_prompt: (_group_of(drawn.prompts, _groups(drawn.prompts)), np.full(len(reference), -1)),
    }
    values: dict[str, float] = {}
    for prefix, (of_drawn, of_reference) in groupings.items():
        if of_drawn.max() >= 0:
            each = metric.resampling.leave_one_out(drawn, reference, of_drawn, of_reference)
            values |= {f"{prefix}{i}": value for i, value in enumerate(each)}
    return values


def _groups(names: NDArray[np.str_]) -> dict[str, int]:
    """The group of each name; none for fewer than three names."""
    distinct = np.unique(names).tolist()
    n = min(len(distinct), _JACKKNIFE)
    return {name: i % n for i, name in enumerate(distinct)} if n >= 3 else {}


def _group_of(names: NDArray[np.str_], groups: dict[str, int]) -> NDArray[np.int64]:
    """The group of every row (N,); -1 for rows that always stay."""
    return np.array([groups.get(name, -1) for name in names.tolist()], dtype=np.int64)


def take_evenly(features: FeatureSet, n: int) -> FeatureSet:
    """The first n rows in a fixed order that spreads them over users."""
    last: dict[str, int] = {}
    rank = np.empty(len(features), dtype=np.int64)
    for row, user in enumerate(features.users):
        rank[row] = last[user] = last.get(user, -1) + 1
    order = np.argsort(rank, kind="stable")[:n]
    return features.select(order)

"""The stored values of a metric over sets: its value, its floor, that of the crowd's style, and those without some."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, NotMeasurableError, SetMetric

SET_KEY = "set"
FLOOR_KEY = "floor"
CROWD_KEY = "of the crowd"
"""What the cases' prompts in the style that most users like score, in suites that have such pictures."""
WITHOUT_KEYS = ("without/user/", "without/prompt/")
"""Prefixes of a set metric's values without one group of users, and without one prompt."""
_JACKKNIFE = 50


def jackknife(metric: SetMetric, drawn: FeatureSet, reference: FeatureSet) -> dict[str, float | None]:
    """The metric without each group of users and without each group of shared prompts: what its interval is made of.

    Left out on both sides. A group is one user or prompt, or more where there are over 50 of them. A prompt that only
    one user has falls with the user and is not left out alone. None where too little is left to measure.
    """
    values: dict[str, float | None] = {}
    prompts = np.unique(np.stack([drawn.prompts, drawn.users], axis=1), axis=0)[:, 0]
    shared, counts = np.unique(prompts[prompts != ""], return_counts=True)
    groupings = (
        (drawn.users, reference.users, np.unique(drawn.users)),
        (drawn.prompts, reference.prompts, shared[counts > 1]),
    )
    for prefix, (of_drawn, of_reference, names) in zip(WITHOUT_KEYS, groupings, strict=True):
        groups = {name: i % _JACKKNIFE for i, name in enumerate(names.tolist())}
        each = _without_each(metric, drawn, reference, _group_of(of_drawn, groups), _group_of(of_reference, groups))
        values |= {f"{prefix}{i}": value for i, value in enumerate(each)}
    return values


def _without_each(
    metric: SetMetric,
    drawn: FeatureSet,
    reference: FeatureSet,
    of_drawn: NDArray[np.int64],
    of_reference: NDArray[np.int64],
) -> list[float] | list[None]:
    """The values without each group; of one group, and of groups without which too little is left, there are none."""
    count = int(of_drawn.max(initial=-1)) + 1
    if count < 2:
        return [None] * count
    try:
        return metric.resampling.leave_one_out(drawn, reference, of_drawn, of_reference)
    except NotMeasurableError:
        return [None] * count


def _group_of(names: NDArray[np.str_], groups: Mapping[str, int]) -> NDArray[np.int64]:
    """The group of every row (N,); -1 for rows that always stay."""
    return np.array([groups.get(name, -1) for name in names.tolist()], dtype=np.int64)


def take_evenly(features: FeatureSet, n: int) -> FeatureSet:
    """The first n rows in an order that spreads them over users: the first of each user, then the second of each."""
    last: dict[str, int] = {}
    rank = np.empty(len(features), dtype=np.int64)
    for row, user in enumerate(features.users):
        rank[row] = last[user] = last.get(user, -1) + 1
    order = np.argsort(rank, kind="stable")[:n]
    return features.select(order)

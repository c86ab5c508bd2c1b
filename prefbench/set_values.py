"""What is stored of a metric over sets: its value, its floor, and its values without some users or a prompt."""

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

    A group is one user or prompt, or more where there are over `_JACKKNIFE` of them. Fewer than three give no values.
    """
    values = {}
    by_user, by_prompt = WITHOUT_KEYS
    for i, group in enumerate(_groups(drawn.users)):
        left = drawn.select(~np.isin(drawn.users, group)), reference.select(~np.isin(reference.users, group))
        values[f"{by_user}{i}"] = metric.compare(*left)
    for i, group in enumerate(_groups(drawn.prompts)):
        values[f"{by_prompt}{i}"] = metric.compare(drawn.select(~np.isin(drawn.prompts, group)), reference)
    return values


def _groups(names: NDArray[np.str_]) -> list[NDArray[np.str_]]:
    different = np.unique(names)
    n = min(len(different), _JACKKNIFE)
    return [different[start::n] for start in range(n)] if n >= 3 else []


def take_evenly(features: FeatureSet, n: int) -> FeatureSet:
    """The first n rows in a fixed order that spreads them over users."""
    seen: dict[str, int] = {}
    rank = np.empty(len(features), dtype=np.int64)
    for row, user in enumerate(features.users):
        rank[row] = seen[user] = seen.get(user, -1) + 1
    order = np.argsort(rank, kind="stable")[:n]
    return features.select(order)

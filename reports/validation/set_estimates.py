"""Set-level metrics from what run folders hold of them: intervals of values and of paired differences."""

from __future__ import annotations

import numpy as np

from prefbench.api import FeatureSet
from prefbench.score.sets import FLOOR_KEY, SET_KEY, WITHOUT_KEYS
from prefbench.stats import LEVEL
from prefbench.stats.jackknife import jackknife_half_width

from .claims import Interval
from .schema import Values


class Value(Interval):
    """A set-level value with its jackknife interval, and the value of one half of the references for the other."""

    floor: float | None


def value(values: Values) -> Value:
    """A set-level metric's value with its jackknife interval, and its floor."""
    return {**_with_ends(values.get(SET_KEY), _half_width(values)), "floor": values.get(FLOOR_KEY)}


def difference(values: Values, others: Values, *, level: float = LEVEL) -> Interval:
    """The difference of two runs on the same prompts; its jackknife leaves the same users out of both.

    The interval keeps the prompts, as the permutation test does: at 0.95 it holds 0 in 95 % where two methods are the
    same.
    """
    by_user = WITHOUT_KEYS[0]
    keys = [key for key in values if key in others and (key == SET_KEY or key.startswith(by_user))]
    differences = {key: _minus(values[key], others[key]) for key in keys}
    return _with_ends(differences.get(SET_KEY), _half_width(differences, level))


def first_of_each_user(features: FeatureSet, n: int) -> FeatureSet:
    """The first n rows of each user of a set that lies user by user."""
    turns = np.concatenate([np.arange(count) for count in np.unique(features.users, return_counts=True)[1]])
    return features.select(turns < n)


def _with_ends(estimate: float | None, half_width: float | None) -> Interval:
    if estimate is None or half_width is None:
        return {"value": estimate, "low": None, "high": None}
    return {"value": estimate, "low": estimate - half_width, "high": estimate + half_width}


def _half_width(values: Values, level: float = LEVEL) -> float | None:
    without = [[value for key, value in values.items() if key.startswith(prefix)] for prefix in WITHOUT_KEYS]
    return jackknife_half_width(without, level=level)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b

"""What run folders hold of metrics over sets: values, and intervals of values and of paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefbench.score.sets import FLOOR_KEY, SET_KEY, WITHOUT_KEYS
from prefbench.stats.jackknife import jackknife_half_width

Values = Mapping[str, float | None]
Result = dict[str, Any]


def value(values: Values) -> Result:
    """A set metric's value with its jackknife interval, and its floor."""
    own = values.get(SET_KEY)
    return _with_ends(own, _reach(values)) | {"floor": values.get(FLOOR_KEY)}


def difference(values: Values, others: Values, *, level: float = 0.95) -> Result:
    """What one run scores more than another on the same prompts, both without the same users in turn.

    The interval keeps the prompts, as the label swap does: at 0.95 it holds 0 in 95 % where two methods are the same.
    """
    by_user = WITHOUT_KEYS[0]
    keys = [key for key in values if key in others and (key == SET_KEY or key.startswith(by_user))]
    each = {key: _minus(values[key], others[key]) for key in keys}
    return _with_ends(each.get(SET_KEY), _reach(each, level))


def _with_ends(own: float | None, reach: float | None) -> Result:
    if own is None or reach is None:
        return {"value": own, "low": None, "high": None}
    return {"value": own, "low": own - reach, "high": own + reach}


def _reach(values: Values, level: float = 0.95) -> float | None:
    left_out = [[v for key, v in values.items() if key.startswith(prefix)] for prefix in WITHOUT_KEYS]
    return jackknife_half_width(left_out, level=level)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b

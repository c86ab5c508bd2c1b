"""Checks of the columns that metrics of images and of users share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from prefbench.api import counted
from prefbench.check.findings import fail

Columns = Mapping[str, Sequence[float | None]]


def check_columns(columns: Columns, name: str, n: int, unit: str) -> str:
    """The metric's own name first, then its parts, `n` values in each; `unit` names what a value is of."""
    if not columns or next(iter(columns)) != name:
        fail(f"the first column must be {name!r}, got {list(columns)}")
    strange = [column for column in list(columns)[1:] if not column.startswith(f"{name}/")]
    if strange:
        fail(f"column {strange[0]!r} must read {name}/<part>")
    for column, values in columns.items():
        if len(values) != n:
            fail(f"{column} has {counted(len(values), 'value')} for {n} {unit}")
    return ", ".join(columns)


def check_finite(columns: Columns) -> None:
    """Numbers or None; a metric that knows no value must not say NaN."""
    for column, values in columns.items():
        wrong = [value for value in values if value is not None and not (_is_number(value) and math.isfinite(value))]
        if wrong:
            fail(f"{column} has the value {wrong[0]!r}: finite float or None")


def as_text(columns: Columns) -> str:
    """Columns as a text that is equal for equal values, of which NaN is one."""
    return repr({name: list(values) for name, values in columns.items()})


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)

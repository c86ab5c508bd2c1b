"""Checks what metrics and extractors return: a breach of the contract is one line that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from prefbench.api import ROUNDING, Features, MetricCard, PrefbenchError, as_features, counted


def checked_columns(card: MetricCard, columns: Any, n: int) -> dict[str, list[float | None]]:
    """The columns of a metric as plain lists of `n` values, None where there is none; NaN and infinity are such.

    Raises:
        PrefbenchError: anything but a mapping of names to values, the metric's own name first and then its parts; a
            value that is no number, or outside the card's bounds.
    """
    if not isinstance(columns, Mapping) or not columns:
        raise PrefbenchError(f"metric {card.name!r} returned {_named(columns)}, not a mapping of columns")
    names = list(columns)
    if odd := [name for name in names if not isinstance(name, str) or not name.isprintable()]:
        raise PrefbenchError(f"metric {card.name!r} named a column {odd[0]!r}; a name is a printable text")
    if names[0] != card.name:
        raise PrefbenchError(
            f"metric {card.name!r} named its first column {names[0]!r}; it bears the metric's own name"
        )
    if strays := [name for name in names[1:] if not name.startswith(f"{card.name}/")]:
        raise PrefbenchError(f"metric {card.name!r} named a column {strays[0]!r}; a part is {card.name}/<part>")
    checked = {name: _values(f"metric {card.name!r}: {name}", values, n) for name, values in columns.items()}
    _check_bounds(card, checked)
    return checked


def checked_set_values(card: MetricCard, values: Mapping[str, Any]) -> dict[str, float | None]:
    """The values of a metric over sets by their keys; what leaves the card's bounds by rounding is put on them.

    Raises:
        PrefbenchError: a value that is no number, or outside the card's bounds.
    """
    what = f"metric {card.name!r}: compare"
    checked = {key: None if value is None else checked_number(what, value) for key, value in values.items()}
    _check_bounds(card, {card.name: list(checked.values())})
    low, high = (np.nan if bound is None else bound for bound in card.bounds)
    return {key: None if v is None else float(np.fmin(np.fmax(v, low), high)) for key, v in checked.items()}


def _values(what: str, values: Any, n: int) -> list[float | None]:
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str | bytes) or np.ndim(values) > 1:
        raise PrefbenchError(f"{what} is {_named(values)}, not a sequence of numbers")
    if len(values) != n:
        raise PrefbenchError(f"{what} has {counted(len(values), 'value')}, not {n}")
    return [None if value is None else checked_number(what, value) for value in values]


def checked_number(what: str, value: Any) -> float | None:
    """A number as it is stored: NaN and infinity are missing values, never numbers.

    Raises:
        PrefbenchError: it is no real number.
    """
    if not isinstance(value, Real):
        raise PrefbenchError(f"{what} gave {_named(value)}, not a number or None")
    number = float(value)
    return number if np.isfinite(number) else None


def _check_bounds(card: MetricCard, columns: Mapping[str, Sequence[float | None]]) -> None:
    """Raises `PrefbenchError` for a value outside the card's bounds.

    Those of users are not held to them: a user's value may be what the user adds to a mean over pairs of users, as in
    `probing/verification`, or a difference, as in `probing/selectivity`.
    """
    if card.unit == "user":
        return
    low, high = (np.nan if bound is None else bound for bound in card.bounds)
    for column, values in columns.items():
        numbers = np.array([value for value in values if value is not None], dtype=np.float64)
        stray = numbers[(numbers < low - ROUNDING) | (numbers > high + ROUNDING)]
        if len(stray):
            ends = ("no limit" if end is None else f"{end:g}" for end in card.bounds)
            bounds = f"the bounds of {card.name}, {' to '.join(ends)}"
            raise PrefbenchError(f"{column} gave {stray[0]:.6g}, outside {bounds}")


def checked_features(extractor: str, features: Any, items: Sequence[str]) -> Features:
    """Features as float64, one row per item. Raises `PrefbenchError` for less than that, and as `as_features` does."""
    if not isinstance(features, np.ndarray):
        raise PrefbenchError(f"{extractor}: features {_named(features)} for {counted(len(items), 'item')}")
    table = as_features(features, extractor, items)
    if len(table) != len(items) or not table.shape[1]:
        raise PrefbenchError(f"{extractor}: features {table.shape} for {counted(len(items), 'item')}")
    return table


def _named(value: object) -> str:
    return f"a {type(value).__name__}"

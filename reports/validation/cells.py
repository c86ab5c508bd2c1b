"""How a validation's tables write numbers, intervals, shares and names."""

from __future__ import annotations

from prefbench.api import fixed

from ..shared.cells import DASH, metric_heading, p_text
from .claims import Interval
from .schema import Rate, ValidationResult


def name_of(result: ValidationResult, metric: str) -> str:
    """The metric with its encoder and the arrow of its direction."""
    about = result["metrics"][metric]
    return metric_heading(metric, about["direction"], about.get("extractor", ""))


def interval(estimate: Interval | None, *, digits: int = 3) -> str:
    """A value with its interval; a dash where there is none."""
    if estimate is None or estimate["value"] is None:
        return DASH
    value, low, high = (compact(end, digits) for end in (estimate["value"], estimate["low"], estimate["high"]))
    return value if estimate["low"] is None else f"{value} [{low}, {high}]"


def share(rate: Rate) -> str:
    """A share with its interval and its n."""
    if rate["rate"] is None:
        return DASH
    return f"{fixed(rate['rate'], 3)} [{fixed(rate['low'], 3)}, {fixed(rate['high'], 3)}], n {rate['n']}"


def compact(value: float | None, digits: int = 3) -> str:
    """A number with `digits` decimals, from 10 on with one; a dash for none."""
    if value is None:
        return DASH
    return fixed(value, digits if abs(value) < 10 else 1)


def p_value(p: float | None) -> str:
    """Empty for none."""
    return "" if p is None else p_text(p)

"""How a validation's tables write numbers, intervals, shares and names."""

from __future__ import annotations

from ..shared.cells import DASH
from .claims import Interval
from .schema import Rate, ValidationResult

_ARROWS = {"up": "↑", "down": "↓"}


def name_of(result: ValidationResult, metric: str) -> str:
    """The metric with the arrow of its direction."""
    return f"{metric} {_ARROWS[result['metrics'][metric]['direction']]}"


def interval(estimate: Interval | None, *, digits: int = 3) -> str:
    """A value with its interval; a dash where there is none."""
    if estimate is None or estimate["value"] is None:
        return DASH
    value, low, high = (number(end, digits) for end in (estimate["value"], estimate["low"], estimate["high"]))
    return value if estimate["low"] is None else f"{value} [{low}, {high}]"


def share(rate: Rate) -> str:
    """A share with its interval and its n."""
    if rate["rate"] is None:
        return DASH
    return f"{rate['rate']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}], n {rate['n']}"


def number(value: float | None, digits: int = 3) -> str:
    """A number, large ones with fewer decimals; a dash for none."""
    if value is None:
        return DASH
    shown = f"{value:.{digits if abs(value) < 10 else 1}f}"
    return shown.removeprefix("-") if float(shown) == 0 else shown


def p_value(p: float | None) -> str:
    """Empty for none."""
    return "" if p is None else "p < 0.001" if p < 0.001 else f"p {p:.3f}"

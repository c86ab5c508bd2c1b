"""The one rule for the interval and the p value of a mean: an interval is what the tests of the rule do not reject.

Every test here has an interval of its own. The p value is the largest of the tests, the interval holds all of theirs,
so that p lies under 1 - level exactly where the interval leaves out 0. What pages say of p is put together from the
same list (`p_sentence`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prefbench.api import FloatArray
from prefbench.stats.permutation import SignFlips, fewest_users
from prefbench.stats.proportions import Gains, Proportion, margin_p_value
from prefbench.stats.student import Ends, skewed_interval, skewed_p_value, student_interval, student_p_value
from prefbench.stats.variance import FEWEST_PROMPTS, Spread


@dataclass(frozen=True)
class Evidence:
    """What is known of a mean; `mean`, `spread` and `proportion` may hold arrays, one entry per mean."""

    mean: FloatArray
    spread: Spread
    flips: SignFlips | None = None
    """Of paired differences alone: the sign of a mean itself is not arbitrary."""
    proportion: Gains | Proportion | None = None
    """Of values between two bounds."""


@dataclass(frozen=True)
class Rule:
    """One test of a mean, which gives nothing where it does not apply."""

    words: str
    p_value: Callable[[Evidence], FloatArray | None]
    """Two-sided, of a zero mean."""
    interval: Callable[[Evidence, float], Ends | None]
    """The means that the test does not reject at 1 - level."""


def _flips_p_value(one: Evidence) -> FloatArray | None:
    return None if one.flips is None else np.asarray(one.flips.p_value)


def _flips_interval(one: Evidence, level: float) -> Ends | None:
    return None if one.flips is None else Ends(*map(np.asarray, one.flips.interval(level)))


def _margin_p_value(one: Evidence) -> FloatArray | None:
    return None if one.proportion is None else margin_p_value(one.mean, one.proportion)


def _margin_interval(one: Evidence, level: float) -> Ends | None:
    if one.proportion is None:
        return None
    margins = one.proportion.margins(level)
    return Ends(one.mean - margins.below, one.mean + margins.above)


RULES = (
    Rule(
        "Student's t over users and prompts",
        lambda one: student_p_value(one.mean, one.spread),
        lambda one, level: student_interval(one.mean, one.spread, level),
    ),
    Rule(
        "the same corrected for skewness",
        lambda one: skewed_p_value(one.mean, one.spread),
        lambda one, level: skewed_interval(one.mean, one.spread, level),
    ),
    Rule("sign flips over users", _flips_p_value, _flips_interval),
    Rule("for values between bounds the exact test of rare exceptions", _margin_p_value, _margin_interval),
)
"""The tests of a mean; of a paired difference all apply."""


def p_value(one: Evidence) -> FloatArray:
    """The p value of a zero mean by all rules that apply: the largest."""
    p_values = [p for rule in RULES if (p := rule.p_value(one)) is not None]
    return np.asarray(np.maximum.reduce(np.broadcast_arrays(*p_values)))


def interval(one: Evidence, level: float) -> tuple[float, float]:
    """The interval that holds those of all rules that apply; infinite ends where some test excludes nothing."""
    ends = [ends for rule in RULES if (ends := rule.interval(one, level)) is not None]
    return float(min(e.low for e in ends)), float(max(e.high for e in ends))


def p_sentence() -> str:
    """What a p value of a paired difference is, for the line under a table."""
    *tests, last = (rule.words for rule in RULES)
    return f"p: the largest of {', '.join(tests)}, and {last}."


def interval_sentence(alpha: float = 0.05) -> str:
    """How intervals of differences and p values belong together, and what is said of few users and prompts."""
    return (
        f"The interval of a difference is what these tests do not reject: before adjustment p is under {alpha:g} just "
        f"where it leaves out 0. An adjusted p is larger, so the interval beside it may leave out 0 though it is not. "
        f"Fewer than {fewest_users(alpha)} users have no such interval, and with fewer than {FEWEST_PROMPTS} shared "
        "prompts it is over users only."
    )

"""What can be claimed of a metric under a nuisance, and how a measured effect answers a claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from .settings import MIDDLE

Claim = Literal["fall", "rise", "stay", "none"]
ClaimOutcome = Literal["holds", "fails", "open", "no claim"]
TOLERANCE = 0.2
"""The largest effect, in a metric's unit, that counts as none."""
STAYS = 0.9
"""The level of the interval that must lie within the tolerance: two one-sided tests at 5 % (Schuirmann 1987, J.
Pharmacokinet. Biopharm. 15:657)."""


class Interval(TypedDict):
    """A number with the ends of its interval, of 95 % where nothing else is said; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Expectation:
    """What a metric's value must do under the strongest level of a nuisance, and why."""

    claim: Claim
    reason: str
    against: float = MIDDLE
    """The strength of the unspoilt system that it is compared with."""
    before: str = ""
    """What was claimed, and why, before it was measured; empty where that still stands."""


def fall(reason: str, *, before: str = "") -> Expectation:
    """The value must fall, whatever the metric's direction."""
    return Expectation("fall", reason, before=before)


def rise(reason: str, *, against: float = MIDDLE, before: str = "") -> Expectation:
    """The value must rise, whatever the metric's direction."""
    return Expectation("rise", reason, against, before)


def stay(reason: str, *, before: str = "") -> Expectation:
    """The value must not move."""
    return Expectation("stay", reason, before=before)


def none(reason: str, *, before: str = "") -> Expectation:
    """Nothing is claimed; the effect is measured all the same."""
    return Expectation("none", reason, before=before)


def judge(claim: Claim, effect: Interval, tolerance: float | None, *, weakest: float | None = None) -> ClaimOutcome:
    """Whether a claim holds, given an effect with its interval (`value`, `low`, `high`).

    A fall holds where the whole interval is below zero, and fails where all of it is above minus the tolerance: so
    small a fall is none. Staying holds where the whole interval is within the tolerance, or within half of the
    `weakest` effect that the metric must show where that is less; it fails where the value is not and the interval is
    clear of zero. What is neither is open: more pictures would tell.

    Example:
        >>> judge("stay", {"value": 0.01, "low": -0.01, "high": 0.03}, 0.2)
        'holds'
        >>> judge("rise", {"value": 0.01, "low": -0.01, "high": 0.03}, 0.2)
        'fails'
    """
    value, low, high = effect["value"], effect["low"], effect["high"]
    if claim == "none":
        return "no claim"
    if value is None or low is None or high is None or tolerance is None:
        return "open"
    if claim == "stay":
        within = tolerance if weakest is None else min(tolerance, weakest / 2)
        fails = abs(value) > within and not low <= 0 <= high
        return "holds" if max(-low, high) <= within else "fails" if fails else "open"
    if claim == "rise":
        low, high = -high, -low
    return "holds" if high < 0 else "fails" if low > -tolerance else "open"

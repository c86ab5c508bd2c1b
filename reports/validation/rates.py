"""Shares of repetitions, with the bands that are required of them."""

from __future__ import annotations

from scipy.stats import binomtest

from .schema import Rate

WANTED_RATE = (0.02, 0.07)
"""False positives of a test at 5 %; a little cautious is better than a little bold."""
WANTED_COVERAGE = 0.93
"""The least share of 95 % intervals that hold the true value."""


def rate(hits: int, n: int) -> Rate:
    """A share with its 95 % interval (Wilson 1927) and what it is a share of."""
    if not n:
        return {"rate": None, "low": None, "high": None, "n": 0}
    ends = binomtest(int(hits), n).proportion_ci(method="wilson")
    return {"rate": float(hits / n), "low": float(ends.low), "high": float(ends.high), "n": n}


def within(share: Rate, low: float, high: float) -> bool | None:
    """Whether a rate itself lies in a band, whatever its interval; None without one."""
    return None if share["rate"] is None else low <= share["rate"] <= high

"""Intervals for means of values between bounds, where rare exceptions may decide.

A sample of 500 pictures without a single copy says little of a method that copies one in 300, and its rows show no
spread at all. Survey statistics know the case: Korn & Graubard, "Confidence intervals for proportions with small
expected number of positive counts estimated from survey data", Survey Methodology 24:193, 1998.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, stdtrit

from prefbench.api import FloatArray
from prefbench.stats.variance import Spread


class Margins(NamedTuple):
    """How far intervals reach below and above their values, both at least 0, in the value's unit."""

    below: FloatArray
    above: FloatArray


class Proportion(NamedTuple):
    """Means of values between two bounds; all fields but `low` and `high` may be arrays, one entry per mean."""

    mean: FloatArray
    spread: Spread
    n_users: int
    n_pairs: float
    """How many pairs of a user and a prompt there are."""
    low: float
    high: float

    def margins(self, level: FloatArray | float) -> Margins:
        """Margins of the interval of the mean as a proportion between the bounds.

        The exact interval of a proportion p (Clopper & Pearson 1934, Biometrika 26:404) from the effective number of
        independent trials, n_eff = p (1 - p) / V (Korn & Graubard), times (t_{n-1} / t_df)^2 because the variance V of
        the mean is known with df degrees of freedom alone. One exception that the sample does not hold is added to V
        and to p: it matters only where hardly any are held. Without any exception n_eff is the number of pairs of a
        user and a prompt. That takes exceptions for single ones: those that come a whole user or a whole prompt at a
        time cannot be foreseen from a sample that holds none, and the interval misses them.
        """
        n, span, tail = np.asarray(self.n_pairs, dtype=np.float64), self.high - self.low, (1 - level) / 2
        p = np.clip((self.mean - self.low) / span, 0.0, 1.0)
        df = np.where(self.spread.variance > 0, self.spread.df, np.maximum(np.asarray(self.n_users) - 1, 1))
        variance = self.spread.variance / span**2 + (np.maximum(p, 1 - p) / n) ** 2
        smoothed = (n * p + 1) / (n + 2)
        trials = smoothed * (1 - smoothed) / variance * (stdtrit(n - 1, tail) / stdtrit(df, tail)) ** 2
        hits, misses = p * trials, (1 - p) * trials
        lower = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-12), misses + 1, tail), 0.0)
        upper = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1e-12), 1 - tail), 1.0)
        return Margins(span * np.maximum(p - lower, 0), span * np.maximum(upper - p, 0))


class Gains(NamedTuple):
    """A paired difference of proportions: how often and how far it goes up and down, so that two methods which never
    differ in a sample are not known to be the same."""

    up: Proportion
    """What the difference is above zero."""
    down: Proportion
    """What it is below zero, as a positive number."""
    variance: FloatArray
    """Of the mean difference."""

    def margins(self, level: FloatArray | float) -> Margins:
        """below^2 = below_up^2 + above_down^2 - 2 r below_up above_down, and likewise above, r the means' correlation.

        Zou & Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27:1693, 2008.
        """
        a, b = self.up.spread.variance, self.down.spread.variance
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.where(a * b > 0, (a + b - self.variance) / (2 * np.sqrt(a * b)), 0.0).clip(-1, 1)
        up, down = self.up.margins(level), self.down.margins(level)
        return Margins(_joined(up.below, down.above, r), _joined(up.above, down.below, r))


def margin_p_value(mean: FloatArray, proportion: Gains | Proportion) -> FloatArray:
    """The p value of a zero mean: the least 1 - level at which the interval by margins leaves out 0, by bisection."""
    low, high = np.full(np.shape(mean), np.log(1e-9)), np.full(np.shape(mean), np.log(0.999))
    for _ in range(40):
        middle = (low + high) / 2
        margins = proportion.margins(1 - np.exp(middle))
        holds = np.abs(mean) <= np.where(mean > 0, margins.below, margins.above)
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return np.where(mean == 0, 1.0, np.exp(high))


def _joined(one: FloatArray, other: FloatArray, r: FloatArray) -> FloatArray:
    return np.sqrt(np.maximum(one**2 + other**2 - 2 * r * one * other, 0.0))

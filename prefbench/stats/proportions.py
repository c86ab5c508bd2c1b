"""Intervals for means of values between bounds, where rare exceptions may decide.

A sample of 500 pictures without a single copy says little of a method that copies one in 300, and resampling it shows
no spread at all. Survey statistics know the case: Korn & Graubard, "Confidence intervals for proportions with small
expected number of positive counts estimated from survey data", Survey Methodology 24:193, 1998.
"""

from __future__ import annotations

from typing import NamedTuple

from scipy.special import betaincinv, stdtrit

from prefbench.api import Bounds
from prefbench.stats.table import Table
from prefbench.stats.variance import variance_of_mean


class Margins(NamedTuple):
    """How far an interval reaches below and above its value, both at least 0, in the value's unit."""

    below: float
    above: float


def proportion(table: Table, k: int, bounds: Bounds, level: float) -> Margins | None:
    """Margins of the interval of quantity k as a proportion between two bounds; None without both, or for one user.

    The exact interval of a proportion p (Clopper & Pearson 1934, Biometrika 26:404) from the effective number of
    independent trials, n_eff = p (1 - p) / V (Korn & Graubard), times (t_{n-1} / t_df)^2 because the variance V of the
    mean is known with df degrees of freedom alone. One exception that the sample does not hold is added to V and to p:
    it matters only where hardly any are held. Without any exception n_eff is the number of pairs of a user and a
    prompt. That takes exceptions for single ones: those that come a whole user or a whole prompt at a time cannot be
    foreseen from a sample that holds none, and the interval misses them.
    """
    low, high = bounds
    if low is None or high is None or len(table.weights) < 2:
        return None
    n, span = table.n_pairs, high - low
    p = min(1.0, max(0.0, (float(table.means()[k]) - low) / span))
    observed = variance_of_mean(table.variance_components(k))
    df = float(observed.df) if observed.variance > 0 else len(table.weights) - 1
    variance = float(observed.variance) / span**2 + (max(p, 1 - p) / n) ** 2
    p_smoothed = (n * p + 1) / (n + 2)
    tail = (1 - level) / 2
    trials = p_smoothed * (1 - p_smoothed) / variance * float(stdtrit(n - 1, tail) / stdtrit(df, tail)) ** 2
    hits = p * trials
    lower = betaincinv(hits, trials - hits + 1, tail) if hits > 0 else 0.0
    upper = betaincinv(hits + 1, trials - hits, 1 - tail) if hits < trials else 1.0
    return Margins(span * float(p - lower), span * float(upper - p))

"""Student's t of a mean over users and prompts, as it is and corrected for skewness: tests, and what they leave."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from prefbench.api import FloatArray
from prefbench.stats.variance import Spread

_STRAIGHT = 1e-6
"""Skewness below which the correction is none but for rounding."""


class Ends(NamedTuple):
    """Both ends of intervals, of any shape; infinite where nothing is excluded."""

    low: FloatArray
    high: FloatArray


def student_p_value(mean: FloatArray, spread: Spread) -> FloatArray:
    """Two-sided p value of a zero mean: 2 P(T_df < -|mean| / sqrt(V)).

    Without any variance the p value is 1 for a mean of 0, else 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * stdtr(spread.df, -np.abs(mean) / np.sqrt(spread.variance))
    return np.where(spread.variance > 0, p_values, np.where(mean == 0, 1.0, 0.0))


def student_interval(mean: FloatArray, spread: Spread, level: float) -> Ends:
    """The values that `student_p_value` does not reject: mean ± t_df sqrt(V)."""
    half = _quantile(spread, level) * np.sqrt(spread.variance)
    return Ends(mean - half, mean + half)


def skewed_p_value(mean: FloatArray, spread: Spread) -> FloatArray:
    """The same of t corrected for the skewness g of the mean: t + g t^2 / 3 + g^2 t^3 / 27 + g / 6.

    Hall (1992, J. R. Stat. Soc. B 54:221, equation 2.1). It rises with t, so the test has an interval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        g, t = _skewness(spread), mean / np.sqrt(spread.variance)
        corrected = t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6
        p_values = 2 * stdtr(spread.df, -np.abs(corrected))
    # The correction moves t = 0 itself: where the mean is 0 nothing speaks against it.
    return np.where((spread.variance > 0) & (mean != 0), p_values, np.where(mean == 0, 1.0, 0.0))


def skewed_interval(mean: FloatArray, spread: Spread, level: float) -> Ends:
    """The values that `skewed_p_value` does not reject: mean - sqrt(V) 3 / g (cbrt(1 + g (q - g / 6)) - 1), q = ±t."""
    g, q, error = _skewness(spread), _quantile(spread, level), np.sqrt(spread.variance)
    straight = np.abs(g) < _STRAIGHT
    divisor = np.where(straight, 1.0, g)

    def t(at: FloatArray) -> FloatArray:
        return np.where(straight, at, 3 / divisor * (np.cbrt(1 + divisor * (at - divisor / 6)) - 1))

    return Ends(mean - error * t(q), mean - error * t(-q))


def _quantile(spread: Spread, level: float) -> FloatArray:
    """The quantile of Student's t at the upper end of an interval; 0 where nothing varies."""
    return np.where(spread.variance > 0, stdtrit(spread.df, (1 + level) / 2), 0.0)


def _skewness(spread: Spread) -> FloatArray:
    return np.where(spread.variance > 0, spread.skewness, 0.0)

"""How far the mean over users and prompts spreads: its variance, the degrees of freedom of that, its skewness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray

FEWEST_PROMPTS = 4
"""Shared prompts below which nothing is said of other prompts: intervals and tests then speak of users alone.

Of two prompts Student's t holds 88 % and of three 92 %, where four or more hold 94 % (`tests/stats/test_coverage.py`).
"""
_FEWEST_SKEWED = 8
"""Groups below which their skewness is mostly noise and is taken as 0."""


class ErrorSums(NamedTuple):
    """The errors of a mean between the groups of one grouping, sum_g e_g^k, e_g the error of group g's rows.

    All fields may be arrays, one entry per mean.
    """

    squares: FloatArray
    cubes: FloatArray
    groups: FloatArray | int
    """How many groups there are."""

    @property
    def variance(self) -> FloatArray:
        """n / (n - 1) * squares, since errors are about the mean that they themselves give; 0 for n < 2 groups."""
        n = np.asarray(self.groups, dtype=np.float64)
        return np.where(n > 1, self.squares * n / np.maximum(n - 1, 1), 0.0)

    @property
    def third_moment(self) -> FloatArray:
        """n^2 / ((n - 1) (n - 2)) * cubes (Fisher's k-statistic); 0 for too few groups."""
        n = np.asarray(self.groups, dtype=np.float64)
        return np.where(n >= _FEWEST_SKEWED, self.cubes * n**2 / np.maximum((n - 1) * (n - 2), 1), 0.0)


class GroupedErrors(NamedTuple):
    """The error sums of users, of shared prompts, and of cells (a user with a shared prompt)."""

    users: ErrorSums
    prompts: ErrorSums
    cells: ErrorSums


class Spread(NamedTuple):
    """The variance of a mean, the degrees of freedom (df) that it is known with, and the mean's skewness."""

    variance: FloatArray
    df: FloatArray
    skewness: FloatArray


def spread_of_mean(errors: GroupedErrors) -> Spread:
    """The spread of a mean over users and prompts that are both drawn from larger populations.

    V = V_users + max(0, V_prompts - V_cells): inclusion and exclusion, Cameron, Gelbach & Miller (2011, J. Bus. Econ.
    Stat. 29:238, equation 2.11), since what is left in the cells is in V_users and in V_prompts. The degrees of freedom
    are those of that sum, V^2 / sum_k (V_k^2 / df_k) (Satterthwaite 1946, Biometrics 2:110), where prompts enter with
    all of V_prompts as soon as they enter: the difference is no better known than its larger part. Third moments add up
    likewise. With fewer than `FEWEST_PROMPTS` shared prompts these count as fixed, and V is V_users. Where nothing
    varies df and skewness are NaN.
    """
    users, prompts, cells = errors
    many = np.asarray(prompts.groups) >= FEWEST_PROMPTS
    excess = np.where(many, np.maximum(prompts.variance - cells.variance, 0), 0.0)
    of_users, of_prompts = users.variance, np.where(excess > 0, prompts.variance, 0.0)
    df_users, df_prompts = (np.maximum(np.asarray(one.groups) - 1, 1) for one in (users, prompts))
    skewed = (excess > 0) & (np.asarray(prompts.groups) >= _FEWEST_SKEWED)
    third = users.third_moment + np.where(skewed, prompts.third_moment - cells.third_moment, 0.0)
    variance = of_users + excess
    with np.errstate(divide="ignore", invalid="ignore"):
        df = variance**2 / (of_users**2 / df_users + of_prompts**2 / df_prompts)
        return Spread(variance, df, third / variance**1.5)

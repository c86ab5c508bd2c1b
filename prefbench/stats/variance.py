"""The variance of a mean over users and prompts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray


class SumOfSquares(NamedTuple):
    """The squared errors of a mean between the groups of one grouping: sum_g e_g^2, e_g the error of group g's rows.

    Both fields may be arrays, one entry per mean.
    """

    squares: FloatArray
    groups: FloatArray | int
    """How many groups there are."""

    @property
    def variance(self) -> FloatArray:
        """n / (n - 1) * squares, since errors are about the mean that they themselves give; 0 for n < 2 groups."""
        n = np.asarray(self.groups, dtype=np.float64)
        return np.where(n > 1, self.squares * n / np.maximum(n - 1, 1), 0.0)


class SquaredErrors(NamedTuple):
    """The sums of squares of users, of shared prompts, and of cells (a user with a shared prompt)."""

    users: SumOfSquares
    prompts: SumOfSquares
    cells: SumOfSquares


class Variance(NamedTuple):
    """The variance of a mean and the degrees of freedom (df) that it is known with."""

    variance: FloatArray
    df: FloatArray


def variance_of_mean(errors: SquaredErrors) -> Variance:
    """The variance of a mean over users and prompts that are both drawn from larger populations.

    V = V_users + max(0, V_prompts - V_cells): inclusion and exclusion, Cameron, Gelbach & Miller (2011, J. Bus. Econ.
    Stat. 29:238, equation 2.11), since what is left in the cells is in V_users and in V_prompts. The degrees of freedom
    are those of that sum, V^2 / sum_k (V_k^2 / df_k) (Satterthwaite 1946, Biometrics 2:110); NaN where nothing varies.
    The crossed bootstrap instead counts the cells three times (Owen 2007, arXiv 0712.1111).
    """
    users, prompts, cells = errors
    of_users, of_prompts = users.variance, np.maximum(prompts.variance - cells.variance, 0)
    variance = of_users + of_prompts
    df_users, df_prompts = (np.maximum(np.asarray(one.groups) - 1, 1) for one in (users, prompts))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Variance(variance, variance**2 / (of_users**2 / df_users + of_prompts**2 / df_prompts))

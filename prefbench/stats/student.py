"""Student's t on a mean over users and prompts."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from prefbench.api import FloatArray
from prefbench.stats.variance import SquaredErrors, variance_of_mean


def student_p_value(mean: FloatArray, errors: SquaredErrors) -> FloatArray:
    """Two-sided p value of a zero mean: 2 P(T_df < -|mean| / sqrt(V)) with `variance_of_mean`.

    The crossed bootstrap would be too cautious for a test: it calls fewer than one in a hundred pairs of equal methods
    different where five are promised. Without any variance the p value is 1 for a mean of 0, else 0.
    """
    variance, df = variance_of_mean(errors)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * stdtr(df, -np.abs(mean) / np.sqrt(variance))
    return np.where(variance > 0, p_values, np.where(mean == 0, 1.0, 0.0))

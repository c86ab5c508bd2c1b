"""Intervals from leaving groups out: of set-level statistics, which have no value per user to resample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from prefbench.stats import LEVEL


def jackknife_half_width(left_out: Sequence[Sequence[float | None]], *, level: float = LEVEL) -> float | None:
    """Half the width of a confidence interval, from a statistic's values without each group.

    The jackknife variance of one grouping with n groups (Efron & Stein 1981, Annals of Statistics 9:586) is
    (n - 1) / n * sum_i (v_i - mean(v))^2, with v_i the value without group i. Those of users and of prompts add up,
    since both are samples of larger populations. Student's t has min(n) - 1 degrees of freedom.

    Args:
        left_out: two lists, the values without each group of users and without each group of prompts. The second may
            be empty; None stands for a value that could not be computed.
        level: of the interval.

    Returns:
        The half width in the statistic's unit; None for fewer than three groups of users or where a value is None.

    Example:
        >>> round(jackknife_half_width([[1.0, 2.0, 3.0], []]), 3)
        4.968
    """
    users, prompts = (np.array([v for v in values if v is not None], dtype=np.float64) for values in left_out)
    complete = [len(present) == len(values) for present, values in zip((users, prompts), left_out, strict=True)]
    if len(users) < 3 or not all(complete):
        return None
    factors = [users, prompts] if len(prompts) else [users]
    variance = sum((len(f) - 1) / len(f) * ((f - f.mean()) ** 2).sum() for f in factors)
    return float(stdtrit(min(map(len, factors)) - 1, (1 + level) / 2) * np.sqrt(variance))

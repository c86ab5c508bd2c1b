"""Intervals from leaving groups out: of set-level statistics, which have no value per user to resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from prefbench.api import FloatArray
from prefbench.stats import LEVEL

LeftOut = Sequence[Sequence[float | None]]
"""Two lists of a statistic's values: without each group of users, and without each group of prompts."""
FEWEST_USERS = 3
FEWEST_PROMPTS = 4
"""With fewer shared prompts an interval over prompts covers too rarely, or is too wide to say anything."""


def jackknife_half_width(left_out: LeftOut, *, level: float = LEVEL) -> float | None:
    """Half the width of a confidence interval, from a statistic's values without each group.

    The jackknife variance of one grouping with n groups (Efron & Stein 1981, Annals of Statistics 9:586) is
    (n - 1) / n * sum_i (v_i - mean(v))^2, with v_i the value without group i. Those of users and of prompts add up,
    since both are samples of larger populations. Student's t has min(n) - 1 degrees of freedom.

    Args:
        left_out: two lists, the values without each group of users and without each group of shared prompts. The
            second is empty where no two users share a prompt; None stands for a value that could not be computed.
        level: of the interval.

    Returns:
        The half width in the statistic's unit; None for fewer than three groups of users, for one to three prompts, of
        which nothing follows for others, or where a value is None.

    Example:
        >>> round(jackknife_half_width([[1.0, 2.0, 3.0], []]), 3)
        4.968
    """
    factors = _factors(left_out)
    if factors is None:
        return None
    variance = sum(map(_variance, factors))
    return float(stdtrit(min(map(len, factors)) - 1, (1 + level) / 2) * np.sqrt(variance))


class JackknifeTest(NamedTuple):
    """The interval of a difference is the difference -+ `half_width`; `p_value` is that of no difference at all."""

    half_width: float
    p_value: float


def jackknife_test(difference: float, left_out: LeftOut, *, level: float = LEVEL) -> JackknifeTest | None:
    """Student's t of a difference between two set-level values, over new users and new prompts.

    Args:
        difference: of the two values.
        left_out: the differences without each group of users and without each group of shared prompts, the same groups
            left out of both methods; otherwise as for `jackknife_half_width`.

    The variances of users and of prompts add up as there. Each also holds what single images add, so their sum is too
    large, two to four times for four prompts (`benchmarks/rates.py`), and the test cautious. The degrees of
    freedom are therefore those of the sum, V^2 / sum_k (V_k^2 / (n_k - 1)) (Satterthwaite 1946, Biometrics 2:110), and
    not those of the fewer groups.

    Returns:
        None where `jackknife_half_width` gives none.
    """
    factors = _factors(left_out)
    if factors is None:
        return None
    variances = np.array([_variance(factor) for factor in factors])
    if not variances.sum() > 0:
        return JackknifeTest(0.0, 1.0 if difference == 0 else 0.0)
    freedoms = np.array([len(factor) - 1 for factor in factors])
    df, error = variances.sum() ** 2 / (variances**2 / freedoms).sum(), np.sqrt(variances.sum())
    return JackknifeTest(float(stdtrit(df, (1 + level) / 2) * error), float(2 * stdtr(df, -abs(difference) / error)))


def _factors(left_out: LeftOut) -> list[FloatArray] | None:
    """The values by users, and by shared prompts where there are any; None where they give no interval."""
    users, prompts = (np.array([v for v in values if v is not None], dtype=np.float64) for values in left_out)
    complete = [len(present) == len(values) for present, values in zip((users, prompts), left_out, strict=True)]
    if len(users) < FEWEST_USERS or 0 < len(prompts) < FEWEST_PROMPTS or not all(complete):
        return None
    return [users, prompts] if len(prompts) else [users]


def _variance(values: FloatArray) -> float:
    return float((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum())

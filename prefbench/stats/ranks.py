"""Rank correlations with bootstrap intervals over users: users are resampled, never pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from prefbench.api import FloatArray
from prefbench.stats.percentiles import user_percentiles


class Correlation(TypedDict):
    """A rank correlation over `n` users or methods with its interval; None for what is not finite."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_users: NotRequired[int]
    """For a correlation over methods: the number of users in their means."""


def spearman(x: FloatArray, y: FloatArray) -> float:
    """Spearman's rank correlation of (N,) and (N,), ties by their mean rank; NaN where either is constant.

    `scipy.stats.spearmanr` rounds otherwise in the last bits, and is slower in the thousands of calls of an interval;
    the tests compare with it.
    """
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def tau(x: FloatArray, y: FloatArray) -> float:
    """Kendall's tau-b of (N,) and (N,); NaN where either is constant."""
    return float(kendalltau(x, y, variant="b").statistic)


def estimate(value: float, ends: tuple[float | None, float | None], n: int) -> Correlation:
    """A correlation over `n` users or methods as plain data, with the ends of its interval; None for a NaN."""
    return {"value": value if np.isfinite(value) else None, "low": ends[0], "high": ends[1], "n": n}


def within_users(
    x: Mapping[str, FloatArray], y: Mapping[str, FloatArray], *, replicates: int, seed: int
) -> Correlation:
    """The mean over users of the rank correlation of x with y within a user, of users who have one."""
    correlations = np.array([_complete(spearman, x[user], y[user]) for user in x])
    correlations = correlations[np.isfinite(correlations)]
    n = len(correlations)
    if not n:
        return estimate(float("nan"), (None, None), 0)
    ends = user_percentiles(n, lambda rows: float(correlations[rows].mean()), replicates=replicates, seed=seed)
    return estimate(float(correlations.mean()), ends, n)


def over_users(x: FloatArray, y: FloatArray, *, replicates: int, seed: int) -> Correlation:
    """The rank correlation over users of x (users,) with y (users,); users without a value are left out."""
    complete = np.isfinite(x) & np.isfinite(y)
    a, b = x[complete], y[complete]
    ends = user_percentiles(len(a), lambda rows: spearman(a[rows], b[rows]), replicates=replicates, seed=seed)
    return estimate(spearman(a, b) if len(a) > 2 else float("nan"), ends, len(a))


def over_methods(x: FloatArray, y: FloatArray, *, replicates: int, seed: int) -> Correlation:
    """Kendall's tau-b over methods of the means of x (methods, users) and of y; users are resampled for both.

    Users without a value in some method are left out.
    """
    complete = np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0)
    a, b = x[:, complete], y[:, complete]
    if not complete.any():
        return estimate(float("nan"), (None, None), len(x))

    def of(rows: NDArray[np.int64]) -> float:
        return tau(a[:, rows].mean(axis=1), b[:, rows].mean(axis=1))

    ends = user_percentiles(a.shape[1], of, replicates=replicates, seed=seed)
    return {**estimate(of(np.arange(a.shape[1])), ends, len(x)), "n_users": int(complete.sum())}


def _complete(statistic: Callable[[FloatArray, FloatArray], float], x: FloatArray, y: FloatArray) -> float:
    complete = np.isfinite(x) & np.isfinite(y)
    return statistic(x[complete], y[complete]) if complete.sum() > 2 else float("nan")

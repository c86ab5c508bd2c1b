"""Rank correlations with their intervals over users; the user is resampled, never the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Floats = NDArray[np.float64]
TAILS = (0.025, 0.975)


class Correlation(TypedDict):
    """A rank correlation over `n` users or methods with its interval; None for what is not finite."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_users: NotRequired[int]
    """Of a correlation over methods the users that their means are over."""


def spearman(x: Floats, y: Floats) -> float:
    """Spearman's rank correlation of (N,) and (N,), ties by their mean rank; NaN where either is constant."""
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def tau(x: Floats, y: Floats) -> float:
    """Kendall's tau-b of (N,) and (N,); NaN where either is constant."""
    return float(kendalltau(x, y, variant="b").statistic)


def interval(users: int, statistic: Callable[[NDArray[np.int64]], float], *, replicates: int, seed: int) -> list[Any]:
    """The percentile interval [low, high] of a statistic of users' rows when users are drawn anew; NaNs are left out.

    [None, None] for fewer than three users, or where most replicates have no value.
    """
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(users, size=users)) for _ in range(replicates if users > 2 else 0)])
    drawn = drawn[np.isfinite(drawn)]
    return np.quantile(drawn, TAILS).tolist() if len(drawn) > replicates / 2 else [None, None]


def estimate(value: float, ends: Sequence[Any], n: int) -> Correlation:
    """A figure as plain data: None for what is not finite."""
    return {"value": value if np.isfinite(value) else None, "low": ends[0], "high": ends[1], "n": n}


def within_users(x: Mapping[str, Floats], y: Mapping[str, Floats], *, replicates: int, seed: int) -> Correlation:
    """The mean over users of the rank correlation of x with y within a user, of users who have one."""
    found = np.array([_complete(spearman, x[user], y[user]) for user in x])
    found = found[np.isfinite(found)]
    if not len(found):
        return estimate(float("nan"), [None, None], 0)
    ends = interval(len(found), lambda rows: float(found[rows].mean()), replicates=replicates, seed=seed)
    return estimate(float(found.mean()), ends, len(found))


def over_users(x: Floats, y: Floats, *, replicates: int, seed: int) -> Correlation:
    """The rank correlation over users of x (users,) with y (users,); users without a value are left out."""
    kept = np.isfinite(x) & np.isfinite(y)
    a, b = x[kept], y[kept]
    ends = interval(len(a), lambda rows: spearman(a[rows], b[rows]), replicates=replicates, seed=seed)
    return estimate(spearman(a, b) if len(a) > 2 else float("nan"), ends, len(a))


def over_methods(x: Floats, y: Floats, *, replicates: int, seed: int) -> Correlation:
    """Kendall's tau-b over methods of the means of x (methods, users) and of y; users are drawn anew for both.

    Users without a value in some method are left out.
    """
    kept = np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0)
    a, b = x[:, kept], y[:, kept]
    if not kept.any():
        return estimate(float("nan"), [None, None], len(x))

    def of(rows: NDArray[np.int64]) -> float:
        return tau(a[:, rows].mean(axis=1), b[:, rows].mean(axis=1))

    ends = interval(a.shape[1], of, replicates=replicates, seed=seed)
    return {**estimate(of(np.arange(a.shape[1])), ends, len(x)), "n_users": int(kept.sum())}


def _complete(statistic: Callable[[Floats, Floats], float], x: Floats, y: Floats) -> float:
    kept = np.isfinite(x) & np.isfinite(y)
    return statistic(x[kept], y[kept]) if kept.sum() > 2 else float("nan")

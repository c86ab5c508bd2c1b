"""Rank correlations with bootstrap intervals over users, or over users and prompts: never over pictures."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from prefbench.api import FloatArray, Scores
from prefbench.stats.percentiles import ends_of, user_percentiles
from prefbench.stats.scores import scale_of, without_ties
from prefbench.stats.table import Names, Table
from prefbench.stats.variance import FEWEST_PROMPTS


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


@dataclass(frozen=True)
class Standings:
    """Which of every two of K methods is ahead, by their means and by those of every replicate."""

    observed: FloatArray
    """(K (K - 1) / 2,) 1 where the first of a pair is ahead, -1 where the second is, 0 for a tie."""
    replicates: FloatArray
    """(replicates, K (K - 1) / 2) the same where users and prompts are drawn with replacement."""
    methods: int
    users: int

    @classmethod
    def of(cls, methods: Sequence[Scores], *, replicates: int, seed: int) -> Standings:
        """Of several methods on the same rows; a row that one lacks a value for counts for none.

        Users and shared prompts are drawn independently, and a sample counts as often as its user times its prompt was
        (the pigeonhole bootstrap of Owen 2007, Ann. Appl. Stat. 1:386, which is on the cautious side). A prompt that
        one user alone has is part of that user; fewer than four shared prompts stay as they are. The same names are
        drawn alike in every call with one seed, so standings on the same users are paired.
        """
        table = Table.of(methods[0].users, methods[0].prompts, [scores.values for scores in methods])
        scale = scale_of(*methods)
        means = _resampled_means(table, replicates, seed)
        return cls(_ahead(table.means(), scale), _ahead(means, scale), len(methods), len(table.users))

    def correlation(self, other: Standings) -> Correlation:
        """Kendall's tau-b with the standings of the same methods by something else, or in other data.

        The interval is that of percentiles of the replicates: none for fewer than three users.
        """
        value = float(_tau_of(self.observed, other.observed))
        few = min(self.users, other.users) < 3
        ends = (None, None) if few else ends_of(_tau_of(self.replicates, other.replicates))
        return {**estimate(value, ends, self.methods), "n_users": min(self.users, other.users)}


def _resampled_means(table: Table, replicates: int, seed: int) -> FloatArray:
    """The means (replicates, K); NaN where all that was drawn is empty."""
    users = _counts(table.users, replicates, seed)
    prompts = np.ones((replicates, 1 + len(table.shared)))
    if len(table.shared) >= FEWEST_PROMPTS:
        prompts[:, 1:] = _counts(table.shared, replicates, seed)
    sums = np.stack([((users @ of_method) * prompts).sum(axis=1) for of_method in table.sums], axis=1)
    weights = ((users @ table.weights) * prompts).sum(axis=1, keepdims=True)
    means: FloatArray = np.divide(sums, weights, out=np.full(sums.shape, np.nan), where=weights > 0)
    return means


def _counts(names: Names, replicates: int, seed: int) -> FloatArray:
    """How often each of N names is drawn among N draws (replicates, N): the same names are drawn alike."""
    rng = np.random.default_rng([seed, zlib.crc32("\n".join(names.tolist()).encode())])
    n = max(len(names), 1)
    return rng.multinomial(n, np.full(len(names), 1 / n), size=replicates).astype(np.float64)


def _ahead(means: FloatArray, scale: float) -> FloatArray:
    """The sign of the difference of every two of the last axis (..., K): (..., K (K - 1) / 2)."""
    first, second = np.triu_indices(means.shape[-1], 1)
    return np.sign(without_ties(means[..., first] - means[..., second], scale))


def _tau_of(x: FloatArray, y: FloatArray) -> FloatArray:
    """tau-b = sum(x y) / sqrt(sum x^2 sum y^2) over the signs of pairs (..., pairs); NaN where all in either tie."""
    size = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    taus: FloatArray = np.divide((x * y).sum(axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0)
    return taus


def _complete(statistic: Callable[[FloatArray, FloatArray], float], x: FloatArray, y: FloatArray) -> float:
    complete = np.isfinite(x) & np.isfinite(y)
    return statistic(x[complete], y[complete]) if complete.sum() > 2 else float("nan")

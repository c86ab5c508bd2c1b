"""Scores as a table of users x prompts: all that means, bootstrap replicates and variances need of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from prefbench.api import Estimate, FloatArray
from prefbench.stats.resampling import multiplicities
from prefbench.stats.variance import SquaredErrors, SumOfSquares

Names = NDArray[np.str_]


@dataclass(frozen=True)
class Table:
    """Weighted sums S and weights W of users x prompts, for K quantities on the same rows.

    A row weighs 1 / (rows of its user), so that every user counts equally: the mean of a quantity is sum S / sum W, the
    mean over users of the user's mean. Column 0 holds the prompts that only one user has: such a prompt is part of its
    user, and is drawn as often as the user.
    """

    sums: FloatArray
    """(K, users, 1 + shared prompts)"""
    weights: FloatArray
    """(users, 1 + shared prompts)"""
    users: Names
    """(users,)"""
    shared: Names
    """(shared prompts,)"""
    n_pairs: int
    """How many pairs of a user and a prompt there are; a user's rows without a prompt are one."""
    n_prompts: int
    n_samples: int
    missing: int

    @classmethod
    def of(cls, users: Names, prompts: Names, columns: Sequence[FloatArray]) -> Table:
        """The table of K columns of values (N,) with the users and prompts (N,) of their rows.

        A row with a NaN in any column is missing in all. An empty prompt is none: what a user has by themselves.
        """
        values = np.stack(columns)
        complete = ~np.isnan(values).any(axis=0)
        user_names, user = np.unique(users[complete], return_inverse=True)
        prompt_names, prompt = np.unique(prompts[complete], return_inverse=True)
        column_of, shared = _shared_columns(user, prompt, prompt_names)
        shape = (len(user_names), 1 + int(shared.sum()))
        cell = user * shape[1] + column_of[prompt]

        def total(weights: FloatArray) -> FloatArray:
            sums = np.bincount(cell, weights=weights, minlength=shape[0] * shape[1])
            return sums.astype(np.float64).reshape(shape)

        weight: FloatArray = 1 / np.bincount(user)[user]
        sums = np.stack([total(weight * v) for v in values[:, complete]])
        pairs = len(np.unique(user * len(prompt_names) + prompt))
        counts = (pairs, int((prompt_names != "").sum()), int(complete.sum()), int((~complete).sum()))
        return cls(sums, total(weight), user_names, prompt_names[shared], *counts)

    def means(self) -> FloatArray:
        """The K means, sum S / sum W; NaN where there is no sample."""
        if not self.n_samples:
            return np.full(len(self.sums), np.nan)
        means: FloatArray = self.sums.sum(axis=(1, 2)) / self.weights.sum()
        return means

    def replicate(self, replicates: int, seed: int) -> FloatArray:
        """The K means in each bootstrap replicate, (replicates, K): sum_uc m_u n_c S_uc / sum_uc m_u n_c W_uc.

        m_u and n_c are how often user u and prompt c are drawn, n_0 = 1. Replicates without any sample are left out;
        there are none for fewer than two users.
        """
        chunks = [np.empty((0, len(self.sums)))]
        n_users, n_columns = self.weights.shape
        for users, shared in multiplicities(n_users, n_columns - 1, replicates=replicates, seed=seed):
            prompts = np.hstack([np.ones((len(shared), 1)), shared])
            total = np.einsum("rc,rc->r", users @ self.weights, prompts)
            sums = np.stack([np.einsum("rc,rc->r", users @ table, prompts) for table in self.sums], axis=1)
            chunks.append(sums[total > 0] / total[total > 0, None])
        return np.concatenate(chunks)

    def estimate(self, value: float | None, replicates: FloatArray, errors: FloatArray, level: float) -> Estimate:
        """The value with the percentile interval of its replicates (R,), and what both stand on.

        `errors` (users, 1 + shared prompts) is what each cell adds to the value, in any unit.
        """
        tail = _tail(errors, level)
        low, high = np.quantile(replicates, [tail, 1 - tail]).tolist() if len(replicates) else (None, None)
        n_users = len(self.weights) if self.n_samples else 0
        n = n_users, self.n_prompts, self.n_samples, self.missing
        return Estimate(value if self.n_samples else None, low, high, *n)

    def variance_components(self, k: int = 0) -> SquaredErrors:
        """The squared errors of the mean of quantity k by users, by shared prompts and by their cells."""
        errors = self.errors(k) / self.weights.sum()
        by_user, by_prompt, cells = errors.sum(axis=1), errors[:, 1:].sum(axis=0), errors[:, 1:]
        users, prompts = (SumOfSquares(one @ one, len(one)) for one in (by_user, by_prompt))
        return SquaredErrors(users, prompts, SumOfSquares((cells**2).sum(), int((self.weights[:, 1:] > 0).sum())))

    def errors(self, k: int = 0) -> FloatArray:
        """The error of the mean of quantity k by cells, times sum W: S - mean W, (users, 1 + shared prompts)."""
        errors: FloatArray = self.sums[k] - self.means()[k] * self.weights
        return errors


def _shared_columns(
    user: NDArray[np.int64], prompt: NDArray[np.int64], prompts: Names
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The table's column of every prompt, and which prompts are shared: 0 for those of one user, then the shared."""
    first = np.full(len(prompts), -1)
    first[prompt] = user
    shared = np.zeros(len(prompts), dtype=bool)
    shared[prompt[first[prompt] != user]] = True
    shared &= prompts != ""
    return np.where(shared, np.cumsum(shared), 0), shared


def _tail(errors: FloatArray, level: float) -> float:
    """The quantile at which a percentile interval ends so that it is as wide as one of Student's t.

    Phi(t_df sqrt((df + 1) / df)), t_df the quantile of Student's t: the expanded percentile interval for few users or
    few prompts (Hesterberg 2015, arXiv 1411.5279). The degrees of freedom are Satterthwaite's, from what users and what
    shared prompts add to the variance.
    """
    factors = [sums for sums in (errors.sum(axis=1), errors[:, 1:].sum(axis=0)) if len(sums) > 1]
    variances = np.array([sums @ sums for sums in factors])
    if not variances.sum() > 0:
        return (1 - level) / 2
    df = variances.sum() ** 2 / sum(v**2 / (len(s) - 1) for v, s in zip(variances, factors, strict=True))
    return float(ndtr(stdtrit(df, (1 - level) / 2) * np.sqrt((df + 1) / df)))

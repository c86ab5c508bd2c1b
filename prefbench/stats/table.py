"""Scores as a table of users x prompts: all that means and their variances need of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Estimate, FloatArray
from prefbench.stats.variance import FEWEST_PROMPTS, ErrorSums, GroupedErrors

Names = NDArray[np.str_]
_ROUNDING = 1e-12
"""Share of the largest sum by which equal means differ."""


@dataclass(frozen=True)
class Table:
    """Weighted sums S and weights W of users x prompts, for K quantities on the same rows.

    A row weighs 1 / (rows of its user), so that every user counts equally: the mean of a quantity is sum S / sum W, the
    mean over users of the user's mean. Column 0 holds the prompts that only one user has: such a prompt is part of its
    user.
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

    def estimate(self, value: float | None, ends: tuple[float, float] | None, unpaired: int = 0) -> Estimate:
        """The value with its interval, and what both stand on. An end that is not finite is none, for both."""
        low, high = ends if ends is not None and np.isfinite(ends).all() else (None, None)
        return Estimate(
            value=value if self.n_samples else None,
            low=low,
            high=high,
            n_users=len(self.weights) if self.n_samples else 0,
            n_prompts=self.n_prompts,
            n_samples=self.n_samples,
            missing=self.missing,
            n_pairs=self.n_pairs if self.n_prompts else 0,
            unpaired=unpaired,
            users_only=low is not None and 0 < len(self.shared) < FEWEST_PROMPTS,
            shared=len(self.shared),
            alike=low is not None and self._is_constant(),
        )

    def _is_constant(self) -> bool:
        """Whether the first quantity is the same for all users and shared prompts, but for rounding."""
        return bool(np.abs(self.errors()).max() <= _ROUNDING * np.abs(self.sums[0]).max())

    def grouped_errors(self, k: int = 0) -> GroupedErrors:
        """The errors of the mean of quantity k by users, by shared prompts and by their cells."""
        return group(self.errors(k) / self.weights.sum(), self.weights)

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


def group(errors: FloatArray, weights: FloatArray) -> GroupedErrors:
    """Sums of squares and cubes of errors (users, 1 + shared prompts), by users, shared prompts and cells."""
    cells = errors[:, 1:]
    by_user, by_prompt = errors.sum(axis=1), cells.sum(axis=0)
    users, prompts = (ErrorSums(one @ one, (one**3).sum(), len(one)) for one in (by_user, by_prompt))
    return GroupedErrors(users, prompts, ErrorSums((cells**2).sum(), (cells**3).sum(), int((weights[:, 1:] > 0).sum())))

"""How large a paired difference is beside what users differ by, and what one user or prompt does to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefbench.api import FloatArray, Scores
from prefbench.stats.permutation import flips, share_of_flips
from prefbench.stats.scores import aligned, user_means
from prefbench.stats.student import student_p_value
from prefbench.stats.table import Table
from prefbench.stats.variance import SquaredErrors, SumOfSquares

_NO_WEIGHT = 1e-9
"""Weight below which a user has no row left, but for rounding."""
_FEWEST = 3
"""Users or shared prompts below which leaving one out leaves nothing to compare."""


@dataclass(frozen=True)
class Effect:
    """The size of a paired difference in units of users."""

    dz: float | None
    """The mean of users' mean differences over their standard deviation (Cohen's d for paired data); None where users
    do not differ."""
    wins: float | None
    """The share of users whose mean is higher, ties counted half (probability of superiority); None without users."""


@dataclass(frozen=True)
class LeaveOneOut:
    """A paired difference with one user, or one shared prompt, left out at a time."""

    users: tuple[str, ...]
    prompts: tuple[str, ...]
    values: FloatArray
    """(users + prompts,) the difference without each."""
    p_values: FloatArray
    """(users + prompts,)"""

    @property
    def names(self) -> list[str]:
        """The names of the users and prompts that are left out, in turn: `user ann`, `prompt a cat`."""
        return [*(f"user {name}" for name in self.users), *(f"prompt {name}" for name in self.prompts)]


def effect(a: Scores, b: Scores) -> Effect:
    """The size of `a` minus `b` on the same keys.

    Raises:
        ValueError: the two are not scored on the same keys.

    Example:
        >>> users = np.array(["ann", "bob", "cyd"])
        >>> scores = [Scores(np.array(v), users, users) for v in ([3.0, 2.0, 1.0], [1.0, 2.0, 0.0])]
        >>> effect(*scores)
        Effect(dz=1.0, wins=0.8333333333333334)
    """
    a, b = aligned([a, b])
    means = user_means(Scores(a.values - b.values, a.users, a.prompts))
    if not len(means):
        return Effect(None, None)
    deviation = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    dz = float(means.mean()) / deviation if deviation > 0 else None
    return Effect(dz, float((1 + np.sign(means)).mean() / 2))


def leave_one_out(a: Scores, b: Scores, *, replicates: int = 10_000, seed: int = 0) -> LeaveOneOut:
    """`a` minus `b` and its p value, as `paired_difference` gives them, without each user and each shared prompt.

    A prompt that only one user has falls with the user, and is not left out alone. Without a prompt users keep the
    weight of the samples that they have left. Nothing is left out of fewer than three users, or three prompts.

    The tests are not repeated on the remaining rows, which would be slow: each is a sum over users and prompts from
    which the share of the one left out is subtracted.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    a, b = aligned([a, b])
    table = Table.of(a.users, a.prompts, [a.values - b.values])
    if len(table.users) < _FEWEST:
        return LeaveOneOut((), (), np.empty(0), np.empty(0))
    sums, weights = table.sums[0], table.weights
    with np.errstate(invalid="ignore"):  # without the only shared prompt nothing may be left
        means = (sums.sum() - _totals(sums)) / (weights.sum() - _totals(weights))
    p_values = np.maximum(_student_p_values(table, means), _sign_flip_p_values(table, replicates, seed))
    prompts = table.shared if len(table.shared) >= _FEWEST else table.shared[:0]
    reported = slice(len(table.users) + len(prompts))
    return LeaveOneOut(tuple(table.users.tolist()), tuple(prompts.tolist()), means[reported], p_values[reported])


def _totals(cells: FloatArray) -> FloatArray:
    """The sums of each user's row, then of each shared prompt's column, of (users, 1 + shared prompts)."""
    return np.concatenate([cells.sum(axis=1), cells[:, 1:].sum(axis=0)])


# Notation below: S_uc and W_uc are the table's sums and weights, S_u and S_c their totals over a row and a column, m_j
# the mean without j. The error of a group is S - m_j W of its rows (`Table.errors`), so a sum of squared errors is a
# quadratic in m_j: sum (S - m_j W)^2 = sum S^2 - 2 m_j sum S W + m_j^2 sum W^2, whose three sums need no loop over j.


def _student_p_values(table: Table, means: FloatArray) -> FloatArray:
    """`paired.zero_mean_p_value` without each user, then without each prompt; `means` are the means without them."""
    of_users, of_prompts = np.split(means, [len(table.users)])
    return np.concatenate([_without_users(table, of_users), _without_prompts(table, of_prompts)])


def _without_users(table: Table, means: FloatArray) -> FloatArray:
    sums, weights = table.sums[0], table.weights
    total = weights.sum() - weights.sum(axis=1)
    by_user = _squares_of_others(sums.sum(axis=1), weights.sum(axis=1), means)
    # Without user j the group of prompt c is what the other users have of it: S_c - S_jc, W_c - W_jc.
    sums_left, weights_left = sums[:, 1:].sum(axis=0) - sums[:, 1:], weights[:, 1:].sum(axis=0) - weights[:, 1:]
    by_prompt = ((sums_left - means[:, None] * weights_left) ** 2).sum(axis=1)
    n_cells = np.count_nonzero(weights[:, 1:], axis=1)
    by_cell = _squares_of_other_cells(sums[:, 1:], weights[:, 1:], means, axis=1)
    errors = SquaredErrors(
        SumOfSquares(by_user / total**2, len(means) - 1),
        SumOfSquares(by_prompt / total**2, sums.shape[1] - 1),
        SumOfSquares(by_cell / total**2, n_cells.sum() - n_cells),
    )
    return student_p_value(means, errors)


def _without_prompts(table: Table, means: FloatArray) -> FloatArray:
    sums, weights = table.sums[0], table.weights
    total = weights.sum() - weights[:, 1:].sum(axis=0)
    # Without prompt j the group of user u is what the user has left: S_u - S_uj, W_u - W_uj.
    sums_left, weights_left = _without_each_prompt(sums), _without_each_prompt(weights)
    by_user = ((sums_left - means * weights_left) ** 2).sum(axis=0)
    by_prompt = _squares_of_others(sums[:, 1:].sum(axis=0), weights[:, 1:].sum(axis=0), means)
    n_cells = np.count_nonzero(weights[:, 1:], axis=0)
    by_cell = _squares_of_other_cells(sums[:, 1:], weights[:, 1:], means, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # without the only shared prompt nothing may be left
        errors = SquaredErrors(
            SumOfSquares(by_user / total**2, (weights_left > _NO_WEIGHT).sum(axis=0)),
            SumOfSquares(by_prompt / total**2, max(len(means) - 1, 0)),
            SumOfSquares(by_cell / total**2, n_cells.sum() - n_cells),
        )
        return student_p_value(means, errors)


def _without_each_prompt(cells: FloatArray) -> FloatArray:
    """Each user's total without each shared prompt, (users, shared prompts)."""
    left: FloatArray = cells.sum(axis=1, keepdims=True) - cells[:, 1:]
    return left


def _squares_of_others(sums: FloatArray, weights: FloatArray, means: FloatArray) -> FloatArray:
    """The sum of squares between groups without each group j, sum_{g != j} (S_g - m_j W_g)^2; rounding is cut at 0."""
    own = (sums - means * weights) ** 2
    squares: FloatArray = sums @ sums - 2 * means * (sums @ weights) + means**2 * (weights @ weights) - own
    return np.maximum(squares, 0)


def _squares_of_other_cells(sums: FloatArray, weights: FloatArray, means: FloatArray, *, axis: int) -> FloatArray:
    """The sum of squares between cells without those of each user (axis 1) or prompt (axis 0); rounding is cut at 0."""
    products = [(a * b).sum(axis=axis) for a, b in ((sums, sums), (sums, weights), (weights, weights))]
    ss, sw, ww = (product.sum() - product for product in products)
    squares: FloatArray = ss - 2 * means * sw + means**2 * ww
    return np.maximum(squares, 0)


def _sign_flip_p_values(table: Table, replicates: int, seed: int) -> FloatArray:
    """The p values of `sign_flip` without each user, then without each prompt, all by the same flips.

    Without user j a flip's sum loses the user's term: sum_u s_u d_u - s_j d_j, d_u the user's mean difference.
    """
    sums, weights = table.sums[0], table.weights
    sums_left, weights_left = _without_each_prompt(sums), _without_each_prompt(weights)
    means = sums.sum(axis=1) / weights.sum(axis=1)
    by_prompt = np.divide(sums_left, weights_left, out=np.zeros_like(sums_left), where=weights_left > _NO_WEIGHT)
    observed = np.concatenate([means.sum() - means, by_prompt.sum(axis=0)])
    bounds = np.abs(observed) - 1e-12 * np.abs(means).sum()
    hits = np.zeros(len(bounds), dtype=np.int64)
    for signs in flips(len(means), replicates=replicates, seed=seed):
        flipped = np.hstack([(signs @ means)[:, None] - signs * means, signs @ by_prompt])
        hits += (np.abs(flipped) >= bounds).sum(axis=0)
    return share_of_flips(hits, len(means), replicates)

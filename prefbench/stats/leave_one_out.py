"""A paired difference and its p value without single users and prompts, all at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray, Scores
from prefbench.stats.paired import gains_of
from prefbench.stats.permutation import flips, share_of_flips
from prefbench.stats.proportions import Gains, Proportion
from prefbench.stats.rules import Evidence, p_value
from prefbench.stats.scores import TIE, differences
from prefbench.stats.table import Table
from prefbench.stats.variance import FEWEST_PROMPTS, ErrorSums, GroupedErrors, Spread, spread_of_mean

_NO_WEIGHT = 1e-9
"""Weight below which a user has no row left, but for rounding."""
_FEWEST_USERS = 3
"""Users below which leaving one out leaves nothing to compare."""


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


def leave_one_out(a: Scores, b: Scores, *, replicates: int = 10_000, seed: int = 0) -> LeaveOneOut:
    """`a` minus `b` and its p value, as `paired_difference` gives them, without each user and each shared prompt.

    A prompt that only one user has falls with the user, and is not left out alone. Without a prompt users keep the
    weight of the samples that they have left. Nothing is left out of fewer than three users, and no prompt where the
    others would be too few to speak of other prompts.

    The tests are not repeated on the remaining rows, which would be slow: each is a sum over users and prompts from
    which the share of the one left out is subtracted.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    rows = differences(a, b)
    table = Table.of(rows.users, rows.prompts, gains_of(rows.values))
    if len(table.users) < _FEWEST_USERS:
        return LeaveOneOut((), (), np.empty(0), np.empty(0))
    prompts = table.shared if len(table.shared) > FEWEST_PROMPTS else table.shared[:0]
    reported = slice(len(table.users) + len(prompts))
    means = _means(table, 0)
    p_values = np.maximum(_rule_p_values(table, rows), _sign_flip_p_values(table, replicates, seed))
    return LeaveOneOut(tuple(table.users.tolist()), tuple(prompts.tolist()), means[reported], p_values[reported])


def _means(table: Table, k: int) -> FloatArray:
    """The mean of quantity k without each user, then without each shared prompt."""
    with np.errstate(invalid="ignore"):  # without the only shared prompt nothing may be left
        means: FloatArray = (table.sums[k].sum() - _totals(table.sums[k])) / (
            table.weights.sum() - _totals(table.weights)
        )
    return means


def _totals(cells: FloatArray) -> FloatArray:
    """The sums of each user's row, then of each shared prompt's column, of (users, 1 + shared prompts)."""
    return np.concatenate([cells.sum(axis=1), cells[:, 1:].sum(axis=0)])


def _rule_p_values(table: Table, rows: Scores) -> FloatArray:
    """`rules.p_value` without each user, then without each prompt, but for the sign flips."""
    n_users = len(table.users)
    spreads = [_spreads(table, k) for k in range(len(table.sums))]
    p_values = []
    for side, kept in enumerate((slice(None, n_users), slice(n_users, None))):
        proportion = _gains(table, rows, [of_quantity[side] for of_quantity in spreads], kept)
        p_values.append(p_value(Evidence(_means(table, 0)[kept], spreads[0][side], proportion=proportion)))
    return np.concatenate(p_values)


def _spreads(table: Table, k: int) -> tuple[Spread, Spread]:
    """The spread of the mean of quantity k without each user, and without each shared prompt."""
    of_users, of_prompts = np.split(_means(table, k), [len(table.users)])
    sums, weights = table.sums[k], table.weights
    without_users, without_prompts = (
        _without_users(sums, weights, of_users),
        _without_prompts(sums, weights, of_prompts),
    )
    return spread_of_mean(without_users), spread_of_mean(without_prompts)


def _gains(table: Table, rows: Scores, spreads: list[Spread], kept: slice) -> Gains | None:
    """The differences as those of proportions; None without bounds."""
    low, high = rows.bounds
    if low is None or high is None:
        return None
    n_left = len(_means(table, 0)[kept])
    pairs = table.n_pairs * (1 - 1 / max(n_left, 2))
    users = len(table.users) - (kept.start is None)
    up, down = (Proportion(_means(table, k)[kept], spreads[k], users, pairs, 0.0, high) for k in (1, 2))
    return Gains(up, down, spreads[0].variance)


# Notation below: S_uc and W_uc are the table's sums and weights, S_u and S_c their totals over a row and a column, m_j
# the mean without j. The error of a group is S - m_j W of its rows (`Table.errors`), so a sum of k-th powers of errors
# is a polynomial in m_j: sum (S - m_j W)^k = sum_i C(k, i) (-m_j)^i sum S^(k - i) W^i, whose sums need no loop over j.


class _Left(NamedTuple):
    """The sums of squares and of cubes of errors that are left without each."""

    squares: FloatArray
    cubes: FloatArray

    def sums(self, total: FloatArray, groups: FloatArray | int) -> ErrorSums:
        return ErrorSums(self.squares / total**2, self.cubes / total**3, groups)


def _without_users(sums: FloatArray, weights: FloatArray, means: FloatArray) -> GroupedErrors:
    total = weights.sum() - weights.sum(axis=1)
    # Without user j the group of prompt c is what the other users have of it: S_c - S_jc, W_c - W_jc.
    sums_left, weights_left = sums[:, 1:].sum(axis=0) - sums[:, 1:], weights[:, 1:].sum(axis=0) - weights[:, 1:]
    n_cells = np.count_nonzero(weights[:, 1:], axis=1)
    return GroupedErrors(
        _others(sums.sum(axis=1), weights.sum(axis=1), means).sums(total, len(means) - 1),
        _direct(sums_left - means[:, None] * weights_left, axis=1).sums(total, sums.shape[1] - 1),
        _other_cells(sums[:, 1:], weights[:, 1:], means, axis=1).sums(total, n_cells.sum() - n_cells),
    )


def _without_prompts(sums: FloatArray, weights: FloatArray, means: FloatArray) -> GroupedErrors:
    total = weights.sum() - weights[:, 1:].sum(axis=0)
    # Without prompt j the group of user u is what the user has left: S_u - S_uj, W_u - W_uj.
    sums_left, weights_left = _without_each_prompt(sums), _without_each_prompt(weights)
    n_cells = np.count_nonzero(weights[:, 1:], axis=0)
    users = (weights_left > _NO_WEIGHT).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # without the only shared prompt nothing may be left
        return GroupedErrors(
            _direct(sums_left - means * weights_left, axis=0).sums(total, users),
            _others(sums[:, 1:].sum(axis=0), weights[:, 1:].sum(axis=0), means).sums(total, max(len(means) - 1, 0)),
            _other_cells(sums[:, 1:], weights[:, 1:], means, axis=0).sums(total, n_cells.sum() - n_cells),
        )


def _without_each_prompt(cells: FloatArray) -> FloatArray:
    """Each user's total without each shared prompt, (users, shared prompts)."""
    left: FloatArray = cells.sum(axis=1, keepdims=True) - cells[:, 1:]
    return left


def _direct(errors: FloatArray, *, axis: int) -> _Left:
    return _Left((errors**2).sum(axis=axis), (errors**3).sum(axis=axis))


def _others(sums: FloatArray, weights: FloatArray, means: FloatArray) -> _Left:
    """Sums over all groups but j, each about m_j; squares that rounding makes negative are 0."""
    own = sums - means * weights
    squares, cubes = (
        _polynomial([(sums ** (k - i) * weights**i).sum() for i in range(k + 1)], means) - own**k for k in (2, 3)
    )
    return _Left(np.maximum(squares, 0), cubes)


def _other_cells(sums: FloatArray, weights: FloatArray, means: FloatArray, *, axis: int) -> _Left:
    """Sums over all cells but those of each user (axis 1) or prompt (axis 0)."""

    def left(k: int) -> FloatArray:
        products = [(sums ** (k - i) * weights**i).sum(axis=axis) for i in range(k + 1)]
        return _polynomial([product.sum() - product for product in products], means)

    return _Left(np.maximum(left(2), 0), left(3))


def _polynomial(products: list[FloatArray], means: FloatArray) -> FloatArray:
    """sum_i C(k, i) (-m)^i products_i."""
    k = len(products) - 1
    terms = [comb(k, i) * (-means) ** i * product for i, product in enumerate(products)]
    return np.asarray(np.sum(terms, axis=0))


def _sign_flip_p_values(table: Table, replicates: int, seed: int) -> FloatArray:
    """The p values of `sign_flip` without each user, then without each prompt, all by the same flips.

    Without user j a flip's sum loses the user's term: sum_u s_u d_u - s_j d_j, d_u the user's mean difference.
    """
    sums, weights = table.sums[0], table.weights
    sums_left, weights_left = _without_each_prompt(sums), _without_each_prompt(weights)
    means = sums.sum(axis=1) / weights.sum(axis=1)
    by_prompt = np.divide(sums_left, weights_left, out=np.zeros_like(sums_left), where=weights_left > _NO_WEIGHT)
    observed = np.concatenate([means.sum() - means, by_prompt.sum(axis=0)])
    bounds = np.abs(observed) - TIE * float(np.abs(means).max(initial=0.0))
    hits: NDArray[np.int64] = np.zeros(len(bounds), dtype=np.int64)
    for signs in flips(len(means), replicates=replicates, seed=seed):
        flipped = np.hstack([(signs @ means)[:, None] - signs * means, signs @ by_prompt])
        hits += (np.abs(flipped) >= bounds).sum(axis=0)
    return share_of_flips(hits, len(means), replicates)

"""Bradley-Terry strengths of methods from who wins for the same user and prompt, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import choix
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.stats import LEVEL
from prefbench.stats.rules import Evidence, interval
from prefbench.stats.scores import aligned, scale_of, without_ties
from prefbench.stats.table import Table, group
from prefbench.stats.variance import spread_of_mean

_STEPS = 100_000
"""At most so many steps: spectral ranking takes many where one method hardly ever wins against the rest."""


class UnlinkedError(ValueError):
    """Some methods never won against, or were never compared with, the others: no finite strengths fit."""


class Wins(NamedTuple):
    """Wins of K methods against each other for users' prompts: cell by cell, a cell being one prompt of one user."""

    counts: FloatArray
    """(cells, K, K): [c, i, j] is 1 where i beats j, 1/2 where they are tied, 0 where j beats i or one has no value."""
    users: NDArray[np.str_]
    """(cells,)"""
    prompts: NDArray[np.str_]
    """(cells,)"""


def wins(methods: Sequence[Scores], *, higher_is_better: bool = True) -> Wins:
    """Who wins for each user and prompt.

    A user's samples of one prompt are averaged first, over those that both methods have; a tie is half a win for each.

    Raises:
        ValueError: the methods are not scored on the same keys.
    """
    ordered = aligned(methods)
    prompt_names, prompt = np.unique(ordered[0].prompts, return_inverse=True)
    user_names, user = np.unique(ordered[0].users, return_inverse=True)
    cells, cell = np.unique(user * len(prompt_names) + prompt, return_inverse=True)
    counts, sign = np.zeros((len(cells), len(ordered), len(ordered))), 1 if higher_is_better else -1
    for i, j in combinations(range(len(ordered)), 2):
        difference, scale = sign * (ordered[i].values - ordered[j].values), scale_of(ordered[i], ordered[j])
        in_both = ~np.isnan(difference)
        n = np.bincount(cell[in_both], minlength=len(cells))
        sums = np.bincount(cell[in_both], weights=difference[in_both], minlength=len(cells))
        won = np.where(n > 0, (1 + np.sign(without_ties(sums / np.maximum(n, 1), scale))) / 2, 0.0)
        counts[:, i, j], counts[:, j, i] = won, np.where(n > 0, 1 - won, 0.0)
    return Wins(counts, user_names[cells // len(prompt_names)], prompt_names[cells % len(prompt_names)])


def bradley_terry(counts: FloatArray) -> FloatArray:
    """Log strengths (K,) of mean 0 from wins (K, K): i beats j with probability 1 / (1 + exp(s_j - s_i)).

    The maximum likelihood fit (Bradley & Terry 1952) by choix.

    Example:
        >>> bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]])).round(3).tolist()
        [0.549, -0.549]

    Raises:
        UnlinkedError: the methods fall into groups of which one never won against another.
    """
    if unlinked(counts):
        raise UnlinkedError("there is no chain of wins between all methods")
    fitted = choix.ilsr_pairwise_dense(counts, max_iter=_STEPS)
    centred: FloatArray = fitted - fitted.mean()
    return centred


def unlinked(counts: FloatArray) -> list[list[int]]:
    """The groups of methods between which wins (K, K) do not lead both ways; empty where all are linked."""
    n, group = connected_components(counts > 0, directed=True, connection="strong")
    return [np.flatnonzero(group == g).tolist() for g in range(n)] if n > 1 else []


def strengths(
    methods: Mapping[str, Scores], *, higher_is_better: bool = True, level: float = LEVEL
) -> dict[str, Estimate]:
    """Log strengths of methods with intervals for other users and other prompts.

    A strength is to first order a sum over users' prompts of their share in the score equations, H^-1 sum_j (won_j -
    n_j p_j), H the information of the fit (the sandwich of a maximum likelihood fit; van der Vaart 1998, section 5.3).
    The interval takes these shares as `means.mean_interval` takes errors of a mean: Student's t over users and over
    what shared prompts add, over users alone with fewer than four shared prompts.

    An estimate's samples are the comparisons that it stands on. No interval for fewer than two users.

    Raises:
        ValueError: the methods are not scored on the same keys.
        UnlinkedError: no finite strengths fit; says which methods stand apart.
    """
    won = wins(list(methods.values()), higher_is_better=higher_is_better)
    total = won.counts.sum(axis=0)
    apart = unlinked(total)
    if apart:
        names = list(methods)
        groups = " | ".join(", ".join(names[i] for i in group) for group in apart)
        raise UnlinkedError(f"wins do not lead both ways between {groups}")
    fitted = bradley_terry(total)
    shares = _shares(won.counts, fitted)
    return {name: _estimate(won, fitted, shares, i, level) for i, name in enumerate(methods)}


def _shares(counts: FloatArray, fitted: FloatArray) -> FloatArray:
    """What each cell adds to each strength to first order, (cells, K); they sum to 0."""
    p = expit(fitted[:, None] - fitted[None])
    compared = counts + counts.transpose(0, 2, 1)
    scores = (counts - compared * p).sum(axis=2)
    weights = compared.sum(axis=0) * p * (1 - p)
    information = np.diag(weights.sum(axis=1)) - weights
    shares: FloatArray = scores @ np.linalg.pinv(information)
    return shares


def _estimate(won: Wins, fitted: FloatArray, shares: FloatArray, i: int, level: float) -> Estimate:
    compared = won.counts[:, i].sum(axis=1) + won.counts[:, :, i].sum(axis=1)
    kept = compared > 0
    table = Table.of(won.users[kept], won.prompts[kept], [shares[kept, i]])
    if len(table.users) < 2:
        ends = None
    else:
        # A table weighs every user equally; here a user weighs as much as there are comparisons of theirs.
        errors = table.sums[0] * np.bincount(np.unique(won.users[kept], return_inverse=True)[1])[:, None]
        spread = spread_of_mean(group(errors, table.weights))
        ends = interval(Evidence(fitted[i], spread), level)
    estimate = table.estimate(float(fitted[i]), ends)
    return replace(estimate, n_samples=int(compared.sum()), missing=0)

"""Bradley-Terry strengths of methods from who wins for the same user and prompt, with intervals over users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import choix
import numpy as np
from scipy.sparse.csgraph import connected_components

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.stats import LEVEL
from prefbench.stats.scores import aligned

_STEPS = 100_000
"""At most so many steps: spectral ranking takes many where one method hardly ever wins against the rest."""


class UnlinkedError(ValueError):
    """Some methods never won against, or were never compared with, the others: no finite strengths fit."""


def wins(methods: Sequence[Scores], *, higher_is_better: bool = True) -> FloatArray:
    """Wins of K methods against each other, (users, K, K): [u, i, j] for how many of u's prompts i beats j.

    A user's samples of one prompt are averaged first, over those that both methods have; a tie is half a win for each.

    Raises:
        ValueError: the methods are not scored on the same keys.
    """
    ordered = aligned(methods)
    user_names, user = np.unique(ordered[0].users, return_inverse=True)
    prompt_names, prompt = np.unique(ordered[0].prompts, return_inverse=True)
    cell = user * len(prompt_names) + prompt
    counts = np.zeros((len(user_names), len(ordered), len(ordered)))
    for i, first in enumerate(ordered):
        for j, second in list(enumerate(ordered))[i + 1 :]:
            difference = (first.values - second.values) * (1 if higher_is_better else -1)
            in_both = ~np.isnan(difference)
            cells, cell_of = np.unique(cell[in_both], return_inverse=True)
            won = (1 + np.sign(np.bincount(cell_of, weights=difference[in_both], minlength=len(cells)))) / 2
            owner = cells // len(prompt_names)
            counts[:, i, j] = np.bincount(owner, weights=won, minlength=len(user_names))
            counts[:, j, i] = np.bincount(owner, weights=1 - won, minlength=len(user_names))
    return counts


def bradley_terry(counts: FloatArray, start: FloatArray | None = None) -> FloatArray:
    """Log strengths (K,) of mean 0 from wins (K, K): i beats j with probability 1 / (1 + exp(s_j - s_i)).

    The maximum likelihood fit (Bradley & Terry 1952) by choix; `start` is where it begins.

    Example:
        >>> bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]])).round(3).tolist()
        [0.549, -0.549]

    Raises:
        UnlinkedError: the methods fall into groups of which one never won against another.
    """
    if unlinked(counts):
        raise UnlinkedError("there is no chain of wins between all methods")
    fitted = choix.ilsr_pairwise_dense(counts, initial_params=start, max_iter=_STEPS)
    centred: FloatArray = fitted - fitted.mean()
    return centred


def unlinked(counts: FloatArray) -> list[list[int]]:
    """The groups of methods between which wins (K, K) do not lead both ways; empty where all are linked."""
    n, group = connected_components(counts > 0, directed=True, connection="strong")
    return [np.flatnonzero(group == g).tolist() for g in range(n)] if n > 1 else []


def strengths(
    methods: Mapping[str, Scores],
    *,
    higher_is_better: bool = True,
    replicates: int = 1000,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Log strengths of methods with percentile intervals over resampled users, all methods together.

    An estimate's samples are the comparisons that it stands on. No interval for fewer than two users, or where the
    methods are unlinked in more replicates than the interval leaves out on one side.

    Raises:
        ValueError: the methods are not scored on the same keys.
        UnlinkedError: no finite strengths fit; says which methods stand apart.
    """
    counts = wins(list(methods.values()), higher_is_better=higher_is_better)
    apart = unlinked(counts.sum(axis=0))
    if apart:
        names = list(methods)
        groups = " | ".join(", ".join(names[i] for i in group) for group in apart)
        raise UnlinkedError(f"wins do not lead both ways between {groups}")
    fitted = bradley_terry(counts.sum(axis=0))
    low, high = _interval(counts, fitted, replicates, level, seed)
    comparisons = counts.sum(axis=2) + counts.sum(axis=1)
    prompts = len(np.unique(next(iter(methods.values())).prompts))
    return {
        name: Estimate(
            float(fitted[i]),
            low[i],
            high[i],
            int((comparisons[:, i] > 0).sum()),
            prompts,
            int(comparisons[:, i].sum()),
            0,
        )
        for i, name in enumerate(methods)
    }


def _interval(
    counts: FloatArray, fitted: FloatArray, replicates: int, level: float, seed: int
) -> tuple[Sequence[float | None], Sequence[float | None]]:
    """Percentiles of the strengths (K,) fitted to the wins (users, K, K) of resampled users; replicates that are not
    linked have no fit."""
    n, k = counts.shape[:2]
    none: list[float | None] = [None] * k
    if n < 2:
        return none, none
    rng, fits = np.random.default_rng(seed), list[FloatArray]()
    for times in rng.multinomial(n, np.full(n, 1 / n), size=replicates):
        resampled = np.tensordot(times.astype(np.float64), counts, axes=1)
        if not unlinked(resampled):
            fits.append(bradley_terry(resampled, fitted))
    tail = (1 - level) / 2
    if replicates - len(fits) > tail * replicates:
        return none, none
    low, high = np.quantile(fits, [tail, 1 - tail], axis=0).tolist()
    return low, high

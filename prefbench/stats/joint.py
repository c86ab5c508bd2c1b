"""Bootstrap intervals of several methods that are resampled together: of shares of a gap, of ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.stats import LEVEL
from prefbench.stats.scores import aligned
from prefbench.stats.table import Table


@dataclass(frozen=True)
class Rank:
    """The rank of a method (1 is best) and the interval its rank has over bootstrap replicates."""

    rank: int
    low: int
    high: int


def gap_closed(
    method: Scores, floor: Scores, ceiling: Scores, *, replicates: int = 10_000, level: float = LEVEL, seed: int = 0
) -> Estimate:
    """The share of the gap from `floor` to `ceiling` that a method closes: mean(m - f) / mean(c - f), 1 at the ceiling.

    All three are resampled together. No value where the gap is not positive; no interval where it is not positive in
    more replicates than the interval leaves out on one side, because then no share is excluded.

    The width of the interval follows the errors of a ratio to first order, e_gain - (gain / gap) e_gap.

    Raises:
        ValueError: the three are not scored on the same keys.
    """
    method, floor, ceiling = aligned([method, floor, ceiling])
    table = Table.of(method.users, method.prompts, [method.values - floor.values, ceiling.values - floor.values])
    gain, gap = table.means()
    if not gap > 0:
        return table.estimate(None, np.empty(0), table.sums[1], level)
    resampled = table.replicate(replicates, seed)
    positive = resampled[:, 1] > 0
    shares = resampled[positive, 0] / resampled[positive, 1]
    trusted = (~positive).sum() <= (1 - level) / 2 * len(resampled)
    errors = table.sums[0] - gain / gap * table.sums[1]
    return table.estimate(float(gain / gap), shares if trusted else np.empty(0), errors, level)


def rank_intervals(
    methods: Mapping[str, Scores],
    *,
    higher_is_better: bool = True,
    replicates: int = 10_000,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Rank]:
    """Ranks of methods as intervals: all are resampled together, and ranked in every replicate; ties share the better.

    Only rows that every method has are used, so that no method gains by failing where it is hard.

    Raises:
        ValueError: the methods are not scored on the same keys, or no row is complete.
    """
    ordered = aligned(list(methods.values()))
    table = Table.of(ordered[0].users, ordered[0].prompts, [scores.values for scores in ordered])
    if not table.n_samples:
        raise ValueError("no sample was scored for all methods, so they cannot be ranked")
    sign = 1 if higher_is_better else -1
    ranks = _ranks(sign * table.means()[None])[0].tolist()
    resampled = _ranks(sign * table.replicate(replicates, seed))
    if not len(resampled):
        return {name: Rank(rank, 1, len(ranks)) for name, rank in zip(methods, ranks, strict=True)}
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(resampled, tails, axis=0, method="inverted_cdf").astype(int).tolist()
    return {name: Rank(*rank) for name, *rank in zip(methods, ranks, low, high, strict=True)}


def _ranks(values: FloatArray) -> NDArray[np.int64]:
    """Rank in each row of (R, K), 1 for the highest, ties sharing the better rank."""
    return np.asarray(rankdata(-values, method="min", axis=1)).astype(np.int64)

"""Statistics of several methods on the same samples: shares of a gap, and ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from prefbench.api import Estimate, Scores
from prefbench.stats import LEVEL
from prefbench.stats.paired import adjusted, paired_difference
from prefbench.stats.rules import Evidence, p_value
from prefbench.stats.scores import aligned, differences, scale_of, without_ties
from prefbench.stats.table import Table, group
from prefbench.stats.variance import spread_of_mean


@dataclass(frozen=True)
class Rank:
    """The rank of a method (1 is best) and the ranks that no test excludes."""

    rank: int
    low: int
    high: int


def gap_closed(method: Scores, floor: Scores, ceiling: Scores, *, level: float = LEVEL) -> Estimate:
    """The share of the gap from `floor` to `ceiling` that a method closes: mean(m - f) / mean(c - f), 1 at the ceiling.

    No value where the gap is not positive; no interval where it is not positive beyond doubt, because then no share is
    excluded. Else the interval holds every share s for which mean((m - f) - s (c - f)) = 0 is not rejected by the rule
    for means (Fieller 1954, J. R. Stat. Soc. B 16:175, with that rule as the test).

    Raises:
        ValueError: the three are not scored on the same keys.
    """
    method, floor, ceiling = aligned([method, floor, ceiling])
    rows = [differences(method, floor), differences(ceiling, floor)]
    table = Table.of(method.users, method.prompts, [of_rows.values for of_rows in rows])
    gain, gap = table.means()
    if not gap > 0:
        return table.estimate(None, None, method.unpaired)
    # The floor and the ceiling are at 0 and 1 by definition, and not because nothing varies.
    return replace(table.estimate(float(gain / gap), _share_ends(table, 1 - level), method.unpaired), alike=False)


def _share_ends(table: Table, alpha: float) -> tuple[float, float] | None:
    """The least and the greatest share that is not rejected at `alpha`; None where the gap itself may be none."""
    gain, gap = table.means()
    weights = table.weights

    def excess(share: float) -> float:
        errors = (table.errors(0) - share * table.errors(1)) / weights.sum()
        return float(p_value(Evidence(gain - share * gap, spread_of_mean(group(errors, weights))))) - alpha

    if len(table.users) < 2 or p_value(Evidence(gap, spread_of_mean(table.grouped_errors(1)))) >= alpha:
        return None
    return _end(excess, float(gain / gap), -1), _end(excess, float(gain / gap), 1)


def _end(excess: Callable[[float], float], share: float, side: int) -> float:
    """Where the p value, which is 1 at the share itself, falls to the level on one side."""
    if excess(share) <= 0:
        return share
    step = 0.01 * max(abs(share), 1.0)
    while excess(share + side * step) > 0:
        step *= 2
    return float(brentq(excess, share, share + side * step, xtol=1e-9))


def rank_intervals(
    methods: Mapping[str, Scores],
    *,
    higher_is_better: bool = True,
    replicates: int = 10_000,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Rank]:
    """Ranks of methods with intervals that hold all true ranks at once with probability `level`; ties share the better.

    All pairs are tested as `paired_difference` does, adjusted after Holm. A method's best rank is 1 + how many are
    significantly better, its worst K - how many are significantly worse (Mogstad, Romano, Shaikh & Wilhelm 2024, Rev.
    Econ. Stud. 91:476, with Holm's steps). Equal methods thus keep all ranks that they may take, which ranks over
    bootstrap replicates do not.

    Only rows that every method has are used, so that no method gains by failing where it is hard.

    Args:
        replicates: random sign flips of each test.

    Raises:
        ValueError: the methods are not scored on the same keys, or no row is complete.
    """
    complete = complete_rows(list(methods.values()))
    if not len(complete[0]):
        raise ValueError("no sample was scored for all methods, so they cannot be ranked")
    sign, k = 1 if higher_is_better else -1, len(complete)
    better = _significantly_better(complete, sign, 1 - level, replicates, seed)
    table = Table.of(complete[0].users, complete[0].prompts, [scores.values for scores in complete])
    apart = without_ties(sign * (table.means()[:, None] - table.means()[None]), scale_of(*complete))
    ranks, low, high = 1 + (apart < 0).sum(axis=1), 1 + better.sum(axis=0), k - better.sum(axis=1)
    return {name: Rank(int(ranks[i]), int(low[i]), int(high[i])) for i, name in enumerate(methods)}


def complete_rows(methods: Sequence[Scores]) -> list[Scores]:
    """The rows that every method has a value in.

    Raises:
        ValueError: the methods are not scored on the same keys.
    """
    ordered = aligned(methods)
    complete = np.flatnonzero(~np.isnan(np.stack([scores.values for scores in ordered])).any(axis=0))
    return [scores.select(complete) for scores in ordered]


def _significantly_better(
    methods: Sequence[Scores], sign: int, alpha: float, replicates: int, seed: int
) -> NDArray[np.bool_]:
    """Whether method i is better than j (K, K), each pair tested and all adjusted."""
    pairs = list(combinations(range(len(methods)), 2))
    tested = [paired_difference(methods[i], methods[j], replicates=replicates, seed=seed) for i, j in pairs]
    better = np.zeros((len(methods), len(methods)), dtype=np.bool_)
    for (i, j), one, p in zip(pairs, tested, adjusted([one.p_value for one in tested]), strict=True):
        if p is not None and p < alpha:
            ahead = sign * (one.estimate.value or 0.0) > 0
            better[(i, j) if ahead else (j, i)] = True
    return better

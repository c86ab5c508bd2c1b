"""Bootstrap intervals over users and prompts: of means, of shares of a gap, of ranks.

The user is the unit: every user counts equally, however many samples of theirs were scored. Users and prompts are both
drawn from larger populations, so the bootstrap resamples both: resampling items covers 42 % where it promises 95 %,
resampling users alone 54 %, when 200 users share 10 prompts (measured by simulation; `tests/stats/test_bootstrap.py`
has a small one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.stats import proportions
from prefbench.stats.proportions import Margins
from prefbench.stats.scores import aligned
from prefbench.stats.table import Table

_TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Rank:
    """The rank of a method (1 is best) and the interval its rank has over bootstrap replicates."""

    rank: int
    low: int
    high: int


def crossed_bootstrap(scores: Scores, *, replicates: int = 10_000, level: float = 0.95, seed: int = 0) -> Estimate:
    """The mean over users of a user's mean value, with a percentile interval over resampled users and prompts.

    With unbalanced data a sample weighs 1 / (samples of its user), so a user with more samples counts no more than
    another. A replicate multiplies that weight by how often the user and the prompt were drawn (`Table.replicate`). A
    prompt that only one user has is part of that user and is drawn with them: with no shared prompt this is the
    bootstrap over users, and so it is with a single prompt, to which the result then applies. Of proportions, the
    interval reaches at least as far as `proportions.proportion`. No interval for fewer than two users.

    Example:
        >>> users, prompts = np.repeat(["a", "b", "c"], 2), np.tile(["x", "y"], 3)
        >>> crossed_bootstrap(Scores(np.arange(6.0), users, prompts)).value
        2.5
    """
    table = Table.of(scores.users, scores.prompts, [scores.values])
    value, resampled = table.means()[0], table.replicate(replicates, seed)[:, 0]
    estimate = table.estimate(float(value), resampled, table.errors(), level)
    return widened(estimate, proportions.proportion(table, 0, scores.bounds, level))


def widened(estimate: Estimate, margins: Margins | None) -> Estimate:
    """The estimate with an interval that reaches at least so far below and above the value."""
    if estimate.value is None or estimate.low is None or estimate.high is None or margins is None:
        return estimate
    low, high = estimate.value - margins.below, estimate.value + margins.above
    return replace(estimate, low=min(estimate.low, low), high=max(estimate.high, high))


def gap_closed(
    method: Scores, floor: Scores, ceiling: Scores, *, replicates: int = 10_000, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Which share of the way from `floor` to `ceiling` a method goes: mean(m - f) / mean(c - f), 1 at the ceiling.

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
    level: float = 0.95,
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


def user_percentiles(
    users: int, statistic: Callable[[NDArray[np.int64]], float], *, replicates: int, seed: int
) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of any statistic of users, when users are resampled.

    Args:
        users: how many there are.
        statistic: of the users with these indices (users,), some repeated; replicates where it is NaN are left out.

    Returns:
        Both ends; None for fewer than three users, or where half of the replicates or more have no value.

    Example:
        >>> values = np.arange(50.0)
        >>> low, high = user_percentiles(50, lambda rows: float(values[rows].mean()), replicates=500, seed=0)
        >>> low < 24.5 < high
        True
    """
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(users, size=users)) for _ in range(replicates if users > 2 else 0)])
    values = values[np.isfinite(values)]
    if len(values) <= replicates / 2:
        return None, None
    low, high = np.quantile(values, _TAILS).tolist()
    return low, high

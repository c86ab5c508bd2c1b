"""Statistics over users: crossed bootstrap intervals, paired tests, shares of a gap, rank intervals.

The user is the unit: every user counts equally, however many samples of theirs were scored. Users and prompts are both
drawn from larger populations, so the bootstrap resamples both: resampling items covers 42 % where it promises 95 %,
resampling users alone 54 %, when 200 users share 10 prompts (measured by simulation; `tests/test_stats.py` has a small
one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench import rare
from prefbench.rare import Reach
from prefbench.records import Bounds, Estimate
from prefbench.resampling import CHUNK, Floats, Names, Table

_EXACT_USERS = 12
"""Up to so many users all 2**n sign flips are enumerated."""
ROUNDING = 1e-9
"""By which scores may leave their bounds."""


@dataclass(frozen=True)
class Scores:
    """One method's values of one metric, a row a sample; NaN is missing, and is counted as such, never as 0.

    Args:
        values: float64 (N,).
        users, prompts: (N,) the user and the prompt of each row.
        keys: (N,) what pairs a row with the same row of another method, such as case and sample index; unique. Without
            keys, methods must hold their rows in the same order.
        bounds: of proportions, the least and the greatest value there can be: intervals then allow for exceptions that
            are so rare that a sample may hold none (`rare.proportion`).
    """

    values: Floats
    users: Names
    prompts: Names
    keys: Names | None = None
    bounds: Bounds = (None, None)

    def __post_init__(self) -> None:
        columns = [self.values, self.users, self.prompts, *([] if self.keys is None else [self.keys])]
        if len({column.shape for column in columns}) != 1 or self.values.ndim != 1:
            raise ValueError(f"columns of scores differ in shape: {[column.shape for column in columns]}")
        if np.isinf(self.values).any():
            raise ValueError("scores hold infinite values; mark what is missing as NaN")
        low, high = self.bounds
        if low is not None and high is not None:
            if not low < high:
                raise ValueError(f"bounds {self.bounds} hold no interval")
            if (self.values < low - ROUNDING).any() or (self.values > high + ROUNDING).any():
                raise ValueError(f"scores leave their bounds {self.bounds}")

    def __len__(self) -> int:
        return len(self.values)

    def select(self, rows: NDArray[Any]) -> Scores:
        """Only some rows, by a mask or by their places."""
        keys = None if self.keys is None else self.keys[rows]
        return Scores(self.values[rows], self.users[rows], self.prompts[rows], keys, self.bounds)


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods with its interval, and the p value of no difference at all."""

    estimate: Estimate
    p_value: float | None


@dataclass(frozen=True)
class Rank:
    """The rank of a method (1 is best) and the interval its rank has over bootstrap replicates."""

    rank: int
    low: int
    high: int


def crossed_bootstrap(scores: Scores, *, replicates: int = 10_000, level: float = 0.95, seed: int = 0) -> Estimate:
    """The mean over users of a user's mean value, with a percentile interval over resampled users and prompts.

    With unbalanced data a sample weighs 1 / (samples of its user), so a user with more samples counts no more than
    another. A replicate multiplies that weight by how often the user and the prompt were drawn. A prompt that only one
    user has is part of that user and is drawn with them: with no shared prompt this is the bootstrap over users, and so
    it is with a single prompt, to which the result then applies. Of proportions, it reaches at least as far as
    `rare.proportion`. No interval for fewer than two users.

    Example:
        >>> users, prompts = np.repeat(["a", "b", "c"], 2), np.tile(["x", "y"], 3)
        >>> crossed_bootstrap(Scores(np.arange(6.0), users, prompts)).value
        2.5
    """
    table = Table.of(scores.users, scores.prompts, [scores.values])
    value, drawn = table.means()[0], table.replicate(replicates, seed)[:, 0]
    found = table.estimate(float(value), drawn, table.errors(), level)
    return _reaching(found, rare.proportion(table, 0, scores.bounds, level))


def paired_difference(
    a: Scores, b: Scores, *, replicates: int = 10_000, level: float = 0.95, seed: int = 0
) -> Difference:
    """`a` minus `b` on the same keys; a row that either lacks is missing. Interval as in `crossed_bootstrap`.

    The p value is the larger of two. One speaks of new users and new prompts: Student's t on what users, and what
    shared prompts beyond chance, add to the variance (`resampling.student`). The other is that of `sign_flip` over
    users: exact for few users, but it answers for these prompts alone and finds differences that other prompts do not
    have. The interval is more cautious than the p value where neither users nor prompts differ.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    a, b = aligned([a, b])
    apart = a.values - b.values
    table = Table.of(a.users, a.prompts, [apart])
    value, drawn = float(table.means()[0]), table.replicate(replicates, seed)[:, 0]
    found = table.estimate(value, drawn, table.errors(), level)
    if a.bounds == b.bounds and None not in a.bounds:
        gains = Table.of(a.users, a.prompts, [apart, apart.clip(0), (-apart).clip(0)])
        found = _reaching(found, rare.difference(gains, a.bounds, level))
    p_values = _p_values(table, Scores(apart, a.users, a.prompts), replicates, seed)
    return Difference(found, max((p for p in p_values if p is not None), default=None))


class PairedPValues(NamedTuple):
    """The two p values of no difference that a paired test has: both must be small."""

    student: float | None
    flips: float | None


def paired_p_values(differences: Scores, *, replicates: int = 10_000, seed: int = 0) -> PairedPValues:
    """Of differences sample by sample: Student's t over users and prompts, None for one user; sign flips over users."""
    table = Table.of(differences.users, differences.prompts, [differences.values])
    return _p_values(table, differences, replicates, seed)


def _p_values(table: Table, differences: Scores, replicates: int, seed: int) -> PairedPValues:
    flipped = sign_flip(user_means(differences), replicates=replicates, seed=seed)
    return PairedPValues(table.p_value(), flipped)


def _reaching(found: Estimate, reach: Reach | None) -> Estimate:
    """An estimate whose interval reaches at least so far."""
    if found.value is None or found.low is None or found.high is None or reach is None:
        return found
    low, high = found.value - reach.below, found.value + reach.above
    return replace(found, low=min(found.low, low), high=max(found.high, high))


def gap_closed(
    method: Scores, floor: Scores, ceiling: Scores, *, replicates: int = 10_000, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Which share of the way from `floor` to `ceiling` a method goes: mean(m - f) / mean(c - f), 1 at the ceiling.

    All three are resampled together. No value where the gap is not positive; no interval where it is not positive in
    more replicates than the interval leaves out on one side, because then no share is excluded.
    """
    method, floor, ceiling = aligned([method, floor, ceiling])
    table = Table.of(method.users, method.prompts, [method.values - floor.values, ceiling.values - floor.values])
    gain, gap = table.means()
    if not gap > 0:
        return table.estimate(None, np.empty(0), table.sums[1], level)
    drawn = table.replicate(replicates, seed)
    positive = drawn[:, 1] > 0
    shares = drawn[positive, 0] / drawn[positive, 1]
    trusted = (~positive).sum() <= (1 - level) / 2 * len(drawn)
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
    drawn = _ranks(sign * table.replicate(replicates, seed))
    if not len(drawn):
        return {name: Rank(rank, 1, len(ranks)) for name, rank in zip(methods, ranks, strict=True)}
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(drawn, tails, axis=0, method="inverted_cdf").astype(int).tolist()
    return {name: Rank(*found) for name, *found in zip(methods, ranks, low, high, strict=True)}


def user_means(scores: Scores) -> Floats:
    """The mean of each user's values (users,), of users who have any, in the order of their names."""
    kept = ~np.isnan(scores.values)
    user = np.unique(scores.users[kept], return_inverse=True)[1]
    return np.asarray(np.bincount(user, weights=scores.values[kept]) / np.bincount(user))


def sign_flip(differences: Floats, *, replicates: int = 10_000, seed: int = 0) -> float | None:
    """Two-sided p value of a zero mean when the sign of every user's difference is arbitrary.

    Exact over all 2**n flips for up to 12 users; else the share of random flips with the observed one counted in.
    None for no users.
    """
    n = len(differences)
    if n == 0:
        return None
    # Sums in another order differ by rounding; a flip that ties with the observed one must count.
    bound = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    hits = [np.abs(signs @ differences) >= bound for signs in flips(n, replicates=replicates, seed=seed)]
    return float(share_of_flips(np.concatenate(hits).sum(), n, replicates))


def flips(users: int, *, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Signs of users, (R, users) at a time: all 2**users of them for up to 12 users, else so many at random."""
    if users <= _EXACT_USERS:
        yield 1 - 2 * (np.arange(2**users)[:, None] >> np.arange(users) & 1)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, CHUNK):
        yield 1 - 2 * rng.integers(0, 2, (min(CHUNK, replicates - start), users), dtype=np.int8).astype(np.int64)


def share_of_flips(hits: NDArray[np.int64], users: int, replicates: int) -> Floats:
    """The p values of so many extreme flips; where these are random, the observed one is counted in."""
    return hits / 2**users if users <= _EXACT_USERS else (1 + hits) / (1 + replicates)


def label_swap(
    users: int, difference: Callable[[NDArray[np.bool_]], float], *, replicates: int = 499, seed: int = 0
) -> float:
    """Two-sided p value of a difference between two methods in a metric over sets, by users whose labels are swapped.

    If both methods are alike, which of them drew what is arbitrary for each user.

    Args:
        users: how many there are.
        difference: the metric's difference where, of the users marked (users,), the two methods' images are exchanged.

    Returns:
        The share of replicates at least as far from zero as the observed difference, that one counted in.

    Raises:
        ValueError: no users or replicates, or a difference that is not finite.
    """
    if min(users, replicates) < 1:
        raise ValueError(f"swapping labels needs users and replicates, got {users} and {replicates}")
    rng = np.random.default_rng(seed)
    swaps = [np.zeros(users, dtype=np.bool_), *(rng.random(users) < 0.5 for _ in range(replicates))]
    observed, *drawn = np.abs([difference(swapped) for swapped in swaps])
    if not np.isfinite([observed, *drawn]).all():
        raise ValueError("a difference between sets is not finite, so it cannot be tested")
    return float(1 + (np.array(drawn) >= observed * (1 - 1e-12)).sum()) / (1 + replicates)


def holm(p_values: Sequence[float]) -> Floats:
    """Holm's step-down adjusted p values (K,), in the given order: their family-wise error is controlled at once.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values lie in [0, 1], got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted


def _ranks(values: Floats) -> NDArray[np.int64]:
    """Rank in each row of (R, K), 1 for the highest, ties sharing the better rank."""
    return 1 + np.stack([(values > values[:, [k]]).sum(axis=1) for k in range(values.shape[1])], axis=1)


def aligned(methods: Sequence[Scores]) -> list[Scores]:
    """The same methods with their rows in one order.

    Raises:
        ValueError: they are not scored on the same keys.
    """
    ordered = [_by_key(scores) for scores in methods]
    first = ordered[0]
    for other in ordered[1:]:
        for name in ("keys", "users", "prompts"):
            left, right = getattr(first, name), getattr(other, name)
            if (left is None) != (right is None) or (left is not None and not np.array_equal(left, right)):
                raise ValueError(f"methods must be scored on the same samples, but their {name} differ")
    return ordered


def _by_key(scores: Scores) -> Scores:
    if scores.keys is None:
        return scores
    order = np.unique(scores.keys, return_index=True)[1]
    if len(order) != len(scores):
        raise ValueError("keys of scores are not unique")
    return scores.select(order)

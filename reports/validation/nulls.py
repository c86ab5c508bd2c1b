"""How often identical methods are told apart, and how often intervals hold what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from prefbench.api import Bounds, NotMeasurableError, Scores, SetMetric
from prefbench.score.sets import SET_KEY, jackknife
from prefbench.stats.bootstrap import crossed_bootstrap
from prefbench.stats.scores import user_means
from prefbench.stats.tests import label_swap, paired_p_values

from .bench import Bench
from .scale import ALPHA, Scale
from .stored import value
from .systems import System

Result = dict[str, Any]
Floats = NDArray[np.float64]
WANTED_RATE = (0.03, 0.07)
WANTED_COVERAGE = 0.93
FEWEST = 6
"""Users that differences must rest on for a rate of false positives to be asked for from below: where they rest on rare
exceptions, Student's t rejects less often than it may (Benjamini 1983, J. Am. Stat. Assoc. 78:645)."""


class Null(NamedTuple):
    """One comparison of a method with itself: the rows of the pool that stand for each side."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]


class PValues(NamedTuple):
    """The test's own p value, the two that it is the larger of, and how many users the difference rests on."""

    both: float
    student: float
    flips: float
    rests_on: float


def identical(bench: Bench) -> dict[str, Result]:
    """False positives over metrics over images: other samples of one system, for half of the users each time.

    Beside the test itself stand the two p values that it is the larger of, each alone.
    """
    return {name: _identical(bench, name, bench.systems.samples) for name in bench.over_images}


def identical_mixed(bench: Bench) -> dict[str, Result]:
    """The same where half of the pictures are copies: nearly constant metrics have something to differ by there."""
    return {name: _identical(bench, name, bench.systems.mixed) for name in bench.over_images}


def _identical(bench: Bench, name: str, pool: System) -> Result:
    scores = bench.scores(pool, name)
    nulls = _splits(scores.users, bench.scale, bench.scale.nulls)
    return _false_positives(((scores.select(null.first), scores.select(null.second)) for null in nulls), bench.scale)


def differing_by_prompt(bench: Bench) -> dict[str, Result]:
    """False positives where two methods differ from prompt to prompt and not on average.

    Users and two times so many prompts are drawn anew from the population's pool: each side shows its own prompts under
    common names, so prompts move the differences and their expectation is zero.
    """
    rates = {}
    for name in bench.over_images:
        grid = _grid(bench, name)
        rates[name] = _false_positives(_mismatched(grid, bench.scale), bench.scale)
    return rates


def _mismatched(grid: Floats, scale: Scale) -> Iterator[tuple[Scores, Scores]]:
    for i in range(scale.nulls):
        rng = np.random.default_rng([scale.seed, i, 3])
        users = rng.integers(grid.shape[0], size=scale.sample_users)
        yield tuple(  # type: ignore[misc]
            _as_scores(grid[np.ix_(users, rng.integers(grid.shape[1], size=scale.sample_prompts))]) for _ in range(2)
        )


def _false_positives(pairs: Iterator[tuple[Scores, Scores]], scale: Scale) -> Result:
    found = [p for first, second in pairs if (p := _p_values(first, second, scale)) is not None]
    if not found:
        return {**rate(0, 0), "student": None, "flips": None, "rests_on": None}
    columns = PValues(*np.array(found).T)
    hits, student, flips = ((np.asarray(column) < ALPHA).sum() for column in columns[:3])
    shares = {"student": float(student / len(found)), "flips": float(flips / len(found))}
    return {**rate(hits, len(found)), **shares, "rests_on": float(np.median(columns.rests_on))}


def _p_values(first: Scores, second: Scores, scale: Scale) -> PValues | None:
    options = {"replicates": scale.replicates, "seed": scale.seed}
    apart = Scores(first.values - second.values, first.users, first.prompts)
    student, flips = paired_p_values(apart, **options)
    if student is None or flips is None:
        return None
    return PValues(max(student, flips), student, flips, rests_on(user_means(apart)))


def rests_on(differences: Floats) -> float:
    """How many users the differences (users,) rest on: all where they are of one size, 1 where one user has them all.

    The participation ratio of their squares, (sum d^2)^2 / sum d^4: of normal differences a third of the users; 0 where
    nothing differs.

    Example:
        >>> rests_on(np.array([1.0, -1.0, 1.0, 0.0]))
        3.0
    """
    fourth = (differences**4).sum()
    return float((differences @ differences) ** 2 / fourth) if fourth > 0 else 0.0


def identical_sets(bench: Bench) -> dict[str, Result]:
    """False positives of the label swap over metrics over sets: fewer comparisons, each of which is many."""
    found = {}
    for name, metric in bench.over_sets.items():
        try:
            found[name] = _false_swaps(bench, metric)
        except NotMeasurableError:
            found[name] = rate(0, 0)
    return found


def _false_swaps(bench: Bench, metric: SetMetric) -> Result:
    scale, pool = bench.scale, bench.systems.samples
    drawn, references = bench.drawn(pool, metric), bench.references(pool, metric)
    hits = 0
    for null in _splits(drawn.users, scale, scale.set_nulls):
        first, second = drawn.select(null.first), drawn.select(null.second)
        users = np.unique(first.users)
        each = len(first) // len(users)
        turn = np.concatenate([np.arange(n) for n in np.unique(references.users, return_counts=True)[1]])
        shown = references.select(np.isin(references.users, users) & (turn < max(2, each)))
        swap = metric.resampling.permuted_difference(first, second, shown)
        hits += label_swap(len(users), swap, replicates=scale.swaps, seed=scale.seed) < ALPHA
    return rate(hits, scale.set_nulls)


def _splits(users: NDArray[np.str_], scale: Scale, n: int) -> Iterator[Null]:
    """Half of the users, and of each case two different samples in random order; rows lie case by case."""
    names = np.unique(users)
    cells = np.arange(len(users)).reshape(-1, scale.samples)
    owner = users[cells[:, 0]]
    for i in range(n):
        rng = np.random.default_rng([scale.seed, i])
        chosen = rng.choice(names, size=min(scale.sample_users, max(2, len(names) // 2)), replace=False)
        mine = cells[np.isin(owner, chosen)]
        order = np.argsort(rng.random(mine.shape), axis=1)
        yield Null(*(np.take_along_axis(mine, order[:, [side]], axis=1)[:, 0] for side in range(2)))


def coverage(bench: Bench) -> dict[str, Result]:
    """How often the 95 % interval of users x prompts drawn anew from the population's pool holds the pool's mean.

    Of the others `above` and `below` are the shares that lie wholly on one side of it.
    """
    scale, found = bench.scale, {}
    for name in bench.over_images:
        grid, bounds = _grid(bench, name), bench.scores(bench.systems.population, name).bounds
        if np.isnan(grid).all():
            found[name] = _missed(0, 0, 0)
            continue
        target, above, below = float(np.nanmean(np.nanmean(grid, axis=1))), 0, 0
        for i in range(scale.intervals):
            rng = np.random.default_rng([scale.seed, i, 4])
            users = rng.integers(grid.shape[0], size=scale.sample_users)
            drawn = grid[np.ix_(users, rng.integers(grid.shape[1], size=scale.sample_prompts))]
            interval = crossed_bootstrap(_as_scores(drawn, bounds), replicates=scale.replicates, seed=scale.seed)
            above += interval.low is None or interval.low > target
            below += interval.high is not None and interval.high < target
        found[name] = _missed(above, below, scale.intervals)
    return found


def coverage_of_sets(bench: Bench) -> dict[str, Result]:
    """The same over metrics over sets, against the mean over all draws: their value depends on the number of pictures.

    Users and prompts are drawn without putting them back, since the same pictures twice would move these metrics. That
    spreads values less than drawing from a population without end, so their distances to the mean are enlarged by as
    much: 1 / sqrt(1 - f) for the larger share f of users or prompts that is drawn (Cochran 1977, section 2.6).
    """
    return {name: _covered(bench, metric) for name, metric in bench.over_sets.items()}


def _covered(bench: Bench, metric: SetMetric) -> Result:
    scale, pool = bench.scale, bench.systems.population
    drawn, references, found = bench.drawn(pool, metric), bench.references(pool, metric), []
    names = np.unique(drawn.users), np.unique(drawn.prompts)
    sizes = min(scale.sample_users, len(names[0])), min(scale.sample_prompts, len(names[1]))
    for i in range(scale.set_intervals):
        rng = np.random.default_rng([scale.seed, i, 5])
        users, prompts = (rng.choice(one, n, replace=False) for one, n in zip(names, sizes, strict=True))
        part = drawn.select(np.isin(drawn.users, users) & np.isin(drawn.prompts, prompts))
        shown = references.select(np.isin(references.users, users))
        try:
            one = value({SET_KEY: metric.compare(part, shown), **jackknife(metric, part, shown)})
        except NotMeasurableError:
            return _missed(0, 0, 0)
        found.append([np.nan if one[key] is None else one[key] for key in ("value", "low", "high")])
    values, low, high = np.array(found).T
    share = max(n / len(one) for n, one in zip(sizes, names, strict=True))
    if share == 1 or not np.isfinite(low).all():
        return _missed(0, 0, 0)
    off = (values - values.mean()) / np.sqrt(1 - share)
    above, below = (off > values - low).sum(), (off < values - high).sum()
    return _missed(int(above), int(below), len(values))


def _missed(above: int, below: int, n: int) -> Result:
    """The rate of intervals that hold what they promise, from how many lie wholly above and below it."""
    return {**rate(n - above - below, n), "above": above / n if n else None, "below": below / n if n else None}


def _grid(bench: Bench, name: str) -> Floats:
    """A metric's means (users, prompts) over the samples of a case, on the population's pool."""
    scores = bench.scores(bench.systems.population, name)
    cells = scores.values.reshape(len(np.unique(scores.users)), -1, bench.systems.population.samples)
    return np.asarray(cells.mean(axis=2))


def _as_scores(grid: Floats, bounds: Bounds = (None, None)) -> Scores:
    """Every row a user, every column a prompt, also where one was drawn twice."""
    users, prompts = (np.arange(n).astype(str) for n in grid.shape)
    repeated = np.repeat(users, grid.shape[1]), np.tile(prompts, grid.shape[0])
    return Scores(grid.ravel(), *repeated, bounds=bounds)


def within(found: Result, low: float, high: float) -> bool | None:
    """Whether a rate itself lies in a band, whatever its interval; None without one."""
    return None if found["rate"] is None else low <= found["rate"] <= high


def rate(hits: int, n: int) -> Result:
    """A share with its 95 % interval (Wilson 1927) and what it is a share of."""
    if not n:
        return {"rate": None, "low": None, "high": None, "n": 0}
    ends = binomtest(int(hits), n).proportion_ci(method="wilson")
    return {"rate": float(hits / n), "low": float(ends.low), "high": float(ends.high), "n": n}

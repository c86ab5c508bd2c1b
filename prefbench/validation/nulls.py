"""How often identical methods are told apart, and how often intervals hold what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from prefbench.api import NotMeasurableError, SetMetric
from prefbench.resampling import Table
from prefbench.stats import Scores, crossed_bootstrap, label_swap, paired_difference, sign_flip, user_means

from .bench import Bench
from .scale import ALPHA, Scale

Result = dict[str, Any]
Floats = NDArray[np.float64]
WANTED_RATE = (0.03, 0.07)
WANTED_COVERAGE = 0.93


class Null(NamedTuple):
    """One comparison of a method with itself: the rows of the pool that stand for each side."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]


def identical(bench: Bench) -> dict[str, Result]:
    """False positives over metrics over images: other samples of one system, for half of the users each time.

    Beside the test itself stand the two p values that it is the larger of, each alone.
    """
    pool = bench.systems.samples
    rates = {}
    for name in bench.over_images:
        scores = bench.scores(pool, name)
        nulls = _splits(scores.users, bench.scale, bench.scale.nulls)
        pairs = ((_rows(scores, null.first), _rows(scores, null.second)) for null in nulls)
        rates[name] = _false_positives(pairs, bench.scale)
    return rates


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
    hits = (np.array(found, dtype=np.float64).reshape(-1, 3) < ALPHA).sum(axis=0).tolist()
    return {**rate(hits[0], len(found)), "student": _share(hits[1], len(found)), "flips": _share(hits[2], len(found))}


def _p_values(first: Scores, second: Scores, scale: Scale) -> tuple[float, float, float] | None:
    """The test's own p value, that of Student's t over users and prompts alone and that of sign flips alone."""
    options = {"replicates": scale.replicates, "seed": scale.seed}
    both = paired_difference(first, second, **options).p_value
    apart = Scores(first.values - second.values, first.users, first.prompts)
    flipped = sign_flip(user_means(apart), **options)
    alone = Table.of(apart.users, apart.prompts, [apart.values]).p_value()
    return None if both is None or flipped is None or alone is None else (both, alone, flipped)


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
        swap = metric.exchanged(first, second, shown)
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
        grid = _grid(bench, name)
        if np.isnan(grid).all():
            found[name] = {**rate(0, 0), "above": None, "below": None}
            continue
        target, above, below = float(np.nanmean(np.nanmean(grid, axis=1))), 0, 0
        for i in range(scale.intervals):
            rng = np.random.default_rng([scale.seed, i, 4])
            users = rng.integers(grid.shape[0], size=scale.sample_users)
            drawn = grid[np.ix_(users, rng.integers(grid.shape[1], size=scale.sample_prompts))]
            interval = crossed_bootstrap(_as_scores(drawn), replicates=scale.replicates, seed=scale.seed)
            above += interval.low is None or interval.low > target
            below += interval.high is not None and interval.high < target
        n = scale.intervals
        found[name] = {**rate(n - above - below, n), "above": above / n, "below": below / n}
    return found


def _grid(bench: Bench, name: str) -> Floats:
    """A metric's values (users, prompts) on the population's pool."""
    scores = bench.scores(bench.systems.population, name)
    return scores.values.reshape(len(np.unique(scores.users)), -1)


def _as_scores(grid: Floats) -> Scores:
    """Every row a user, every column a prompt, also where one was drawn twice."""
    users, prompts = (np.char.add("", np.arange(n).astype(str)) for n in grid.shape)
    return Scores(grid.ravel(), np.repeat(users, grid.shape[1]), np.tile(prompts, grid.shape[0]))


def _rows(scores: Scores, rows: NDArray[np.int64]) -> Scores:
    return Scores(scores.values[rows], scores.users[rows], scores.prompts[rows])


def rate(hits: int, n: int) -> Result:
    """A share with its 95 % interval (Wilson 1927) and what it is a share of."""
    if not n:
        return {"rate": None, "low": None, "high": None, "n": 0}
    ends = binomtest(int(hits), n).proportion_ci(method="wilson")
    return {"rate": float(hits / n), "low": float(ends.low), "high": float(ends.high), "n": n}


def _share(hits: int, n: int) -> float | None:
    return hits / n if n else None

"""How a metric's value depends on how many pictures it is made from, and how many are enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import NotMeasurableError, SetMetric

from .bench import Bench
from .dose import p_value
from .scale import ALPHA
from .stored import difference

Result = dict[str, Any]
Floats = NDArray[np.float64]


class Subset(NamedTuple):
    """Some users of the population's pool, and some prompts of each, by their places."""

    users: NDArray[np.int64]
    """(U,)"""
    prompts: NDArray[np.int64]
    """(U, P): every user's own, so that few pictures show as many different prompts as many do."""


def curves(bench: Bench) -> dict[str, Result]:
    """For each metric the mean and the spread of its value over subsets of each size, and the smallest honest size.

    The bias at n is the mean's distance from the limit. For metrics over sets that is 2 M(N) - M(N / 2) at the largest
    N, which is free of bias of order 1 / n; for the mean of a metric over images it is the mean of the pool. No size is
    enough for a metric that does not tell strength 0.5 from strength 0 at all.
    """
    found = {}
    for name in bench.cards:
        if name in bench.over_images:
            value, limit = _mean_of(bench, name)
        else:
            value, limit = _set_of(bench, bench.over_sets[name]), None
        p = p_value(bench, name, bench.systems.middle, bench.systems.strengths[0])
        found[name] = _curve(bench, value, limit, _gap(bench, name), told=p is not None and p < ALPHA)
    return found


def _curve(
    bench: Bench, value: Callable[[Subset], float], limit: float | None, gap: float | None, *, told: bool
) -> Result:
    points = []
    for n in bench.scale.sizes:
        drawn = np.array([value(subset) for subset in _subsets(bench, n)])
        if len(drawn) and np.isfinite(drawn).all():
            points.append({"n": n, "mean": float(drawn.mean()), "sd": float(drawn.std(ddof=1))})
    means = {point["n"]: point["mean"] for point in points}
    if limit is None and means:
        largest = max(means)
        limit = 2 * means[largest] - means[largest // 2] if largest // 2 in means else means[largest]
    for point in points:
        point["bias"] = point["mean"] - (0.0 if limit is None else limit)
    half = abs(gap) / 2 if gap is not None and told else None
    return {
        "points": points,
        "limit": limit,
        "gap": gap,
        "told": told,
        "enough": _from(points, "bias", half),
        "steady": _from(points, "sd", half),
    }


def _from(points: list[Result], key: str, bound: float | None) -> int | None:
    """The smallest size from which on a figure stays under the bound."""
    if bound is None:
        return None
    late = next((i for i in range(len(points) - 1, -1, -1) if abs(points[i][key]) >= bound), -1)
    return points[late + 1]["n"] if late + 1 < len(points) else None


def _gap(bench: Bench, name: str) -> float | None:
    """What strength 0.5 scores more than strength 0, as runs do."""
    none, middle = bench.systems.strengths[0], bench.systems.middle
    if name not in bench.over_images:
        gap: float | None = difference(*(bench.run(s).set_values(name) for s in (middle, none)))["value"]
        return gap
    values = [bench.scores(system, name).values for system in (middle, none)]
    if any(np.isnan(column).all() for column in values):
        return None
    means = [float(np.nanmean(column)) for column in values]
    return means[0] - means[1]


def _subsets(bench: Bench, n: int) -> list[Subset]:
    """One picture a case of users with ten prompts, up to two thirds of the users, then more prompts; else none."""
    scale = bench.scale
    each = min(scale.sample_prompts, scale.pool_prompts)
    users = min(n // each, 2 * scale.pool_users // 3)
    if users < 2 or n // users > scale.pool_prompts:
        return []
    found = []
    for i in range(scale.draws):
        rng = np.random.default_rng([scale.seed, n, i])
        chosen = rng.choice(scale.pool_users, users, replace=False)
        order = np.argsort(rng.random((users, scale.pool_prompts)), axis=1)
        found.append(Subset(np.sort(chosen), order[:, : n // users]))
    return found


def _mean_of(bench: Bench, name: str) -> tuple[Callable[[Subset], float], float | None]:
    """NaN and no limit for a metric that has no value on the pool."""
    scores = bench.scores(bench.systems.population, name)
    grid = scores.values.reshape(bench.scale.pool_users, bench.scale.pool_prompts, -1)[..., 0]
    if np.isnan(grid).all():
        return lambda _: float("nan"), None
    return lambda subset: float(np.nanmean(grid[subset.users[:, None], subset.prompts])), float(np.nanmean(grid))


def _set_of(bench: Bench, metric: SetMetric) -> Callable[[Subset], float]:
    """Drawn pictures of a subset against as many references of the same users."""
    pool = bench.systems.population
    drawn, references = bench.drawn(pool, metric), bench.references(pool, metric)
    rows = np.arange(len(drawn)).reshape(bench.scale.pool_users, bench.scale.pool_prompts, -1)[..., 0]
    owners = np.unique(references.users, return_inverse=True)[1]
    first = np.searchsorted(owners, np.arange(bench.scale.pool_users))
    most = int(np.bincount(owners).min())

    def value(subset: Subset) -> float:
        each = min(subset.prompts.shape[1], most)
        mine = rows[subset.users[:, None], subset.prompts].ravel()
        shown = (first[subset.users][:, None] + np.arange(each)).ravel()
        try:
            return metric.compare(drawn.select(mine), references.select(shown))
        except NotMeasurableError:
            return float("nan")

    return value

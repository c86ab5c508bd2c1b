"""How a metric's value depends on how many pictures it is computed from, and how many are enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import NotMeasurableError, SetMetric

from .dose import p_value
from .measured import MeasuredSystems
from .schema import SizeCurve, SizePoint
from .set_estimates import difference
from .settings import ALPHA


class Subset(NamedTuple):
    """Some users of the population's pool, and some prompts of each, by their indices."""

    users: NDArray[np.int64]
    """(U,)"""
    prompts: NDArray[np.int64]
    """(U, P): every user's own, so that few pictures show as many different prompts as many do."""


ValueOf = Callable[[Subset], float]
"""A metric's value on a subset; NaN for none."""


def curves(measured: MeasuredSystems) -> dict[str, SizeCurve]:
    """For each metric the mean and the spread of its value over subsets of each size, and the smallest honest size.

    The bias at n is the mean's distance from the limit. For set-level metrics that is 2 M(N) - M(N / 2) at the largest
    N, which is free of bias of order 1 / n; for the mean of a per-image metric it is the mean of the pool. No size is
    enough for a metric that does not tell strength 0.5 from strength 0 at all.
    """
    return {name: _curve(measured, name) for name in measured.cards}


def _curve(measured: MeasuredSystems, name: str) -> SizeCurve:
    value, limit = _value_on_subsets(measured, name)
    spreads = _spreads(measured, value)
    limit = _limit({n: mean for n, mean, _ in spreads}) if limit is None else limit
    points: list[SizePoint] = [
        {"n": n, "mean": mean, "sd": sd, "bias": mean - (0.0 if limit is None else limit)} for n, mean, sd in spreads
    ]
    gap = _gap(measured, name)
    p = p_value(measured, name, measured.systems.middle, measured.systems.strengths[0])
    significant = p is not None and p < ALPHA
    half = abs(gap) / 2 if gap is not None and significant else None
    return {
        "points": points,
        "limit": limit,
        "gap": gap,
        "told": significant,
        "enough": _enough(points, "bias", half),
        "steady": _enough(points, "sd", half),
    }


def _spreads(measured: MeasuredSystems, value: ValueOf) -> list[tuple[int, float, float]]:
    """Size, mean and standard deviation over subsets; only of sizes where every subset has a value."""
    spreads = []
    for n in measured.size.sizes:
        values = np.array([value(subset) for subset in _subsets(measured, n)])
        if len(values) and np.isfinite(values).all():
            spreads.append((n, float(values.mean()), float(values.std(ddof=1))))
    return spreads


def _limit(means: dict[int, float]) -> float | None:
    """2 M(N) - M(N / 2) at the largest N; M(N) where half of it was not measured."""
    if not means:
        return None
    largest = max(means)
    return 2 * means[largest] - means[largest // 2] if largest // 2 in means else means[largest]


def _enough(points: list[SizePoint], key: Literal["bias", "sd"], bound: float | None) -> int | None:
    """The smallest size from which on a figure stays under the bound."""
    if bound is None:
        return None
    late = next((i for i in range(len(points) - 1, -1, -1) if abs(points[i][key]) >= bound), -1)
    return points[late + 1]["n"] if late + 1 < len(points) else None


def _gap(measured: MeasuredSystems, name: str) -> float | None:
    """The difference of strength 0.5 to strength 0, as runs have it."""
    zero, middle = measured.systems.strengths[0], measured.systems.middle
    if name not in measured.image_metrics:
        return difference(*(measured.run(system).set_values(name) for system in (middle, zero)))["value"]
    values = [measured.scores(system, name).values for system in (middle, zero)]
    if any(np.isnan(column).all() for column in values):
        return None
    means = [float(np.nanmean(column)) for column in values]
    return means[0] - means[1]


def _subsets(measured: MeasuredSystems, n: int) -> list[Subset]:
    """One picture per case of users with ten prompts, up to two thirds of the users, then more prompts; else none."""
    size = measured.size
    per_user = min(size.sample_prompts, size.pool_prompts)
    users = min(n // per_user, 2 * size.pool_users // 3)
    if users < 2 or n // users > size.pool_prompts:
        return []
    subsets = []
    for i in range(size.draws):
        rng = np.random.default_rng([size.seed, n, i])
        sample = rng.choice(size.pool_users, users, replace=False)
        order = np.argsort(rng.random((users, size.pool_prompts)), axis=1)
        subsets.append(Subset(np.sort(sample), order[:, : n // users]))
    return subsets


def _value_on_subsets(measured: MeasuredSystems, name: str) -> tuple[ValueOf, float | None]:
    """What values a metric on subsets, and the limit where it is known beforehand."""
    if name in measured.image_metrics:
        return _mean_of(measured, name)
    return _set_of(measured, measured.set_metrics[name]), None


def _mean_of(measured: MeasuredSystems, name: str) -> tuple[ValueOf, float | None]:
    """NaN and no limit for a metric that has no value on the pool."""
    size, scores = measured.size, measured.scores(measured.systems.population, name)
    firsts = scores.values.reshape(size.pool_users, size.pool_prompts, -1)[..., 0]
    if np.isnan(firsts).all():
        return lambda _: float("nan"), None
    return lambda subset: float(np.nanmean(firsts[subset.users[:, None], subset.prompts])), float(np.nanmean(firsts))


def _set_of(measured: MeasuredSystems, metric: SetMetric) -> ValueOf:
    """Drawn pictures of a subset against as many references of the same users."""
    pool, size = measured.systems.population, measured.size
    drawn, references = measured.drawn(pool, metric), measured.references(pool, metric)
    rows = np.arange(len(drawn)).reshape(size.pool_users, size.pool_prompts, -1)[..., 0]
    owners = np.unique(references.users, return_inverse=True)[1]
    starts = np.searchsorted(owners, np.arange(size.pool_users))
    fewest = int(np.bincount(owners).min())

    def value(subset: Subset) -> float:
        per_user = min(subset.prompts.shape[1], fewest)
        own = rows[subset.users[:, None], subset.prompts].ravel()
        likes = (starts[subset.users][:, None] + np.arange(per_user)).ravel()
        try:
            return metric.compare(drawn.select(own), references.select(likes))
        except NotMeasurableError:
            return float("nan")

    return value

"""Dose and response: each metric's value as systems personalise more and more."""

from __future__ import annotations

import numpy as np

from prefbench.api import NotMeasurableError, SetMetric
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference
from prefbench.stats.permutation import label_swap
from prefbench.stats.ranks import spearman

from .measured import MeasuredSystems
from .schema import Dose, DosePoint
from .set_estimates import first_of_each_user, value
from .settings import ALPHA, STRENGTHS
from .systems import System


def response(measured: MeasuredSystems) -> dict[str, Dose]:
    """For each metric the value with interval at every strength, and the p value of each against strength 0."""
    return {name: _summary(_points(measured, name), card.direction) for name, card in measured.cards.items()}


def _points(measured: MeasuredSystems, name: str) -> list[DosePoint]:
    zero, *others = measured.systems.strengths
    tested = [(zero, None), *((system, p_value(measured, name, system, zero)) for system in others)]
    return [_point(measured, name, system, p) for system, p in tested]


def _point(measured: MeasuredSystems, name: str, system: System, p: float | None) -> DosePoint:
    if name not in measured.image_metrics:
        of_set = value(measured.run(system).set_values(name))
        return {
            "strength": system.strength,
            "value": of_set["value"],
            "low": of_set["low"],
            "high": of_set["high"],
            "floor": of_set["floor"],
            "p": p,
        }
    estimate = mean_interval(measured.scores(system, name))
    return {
        "strength": system.strength,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "missing": estimate.missing,
        "p": p,
    }


def p_value(measured: MeasuredSystems, name: str, system: System, other: System) -> float | None:
    """The p value of no difference by the test that `prefbench compare` makes; None where a set is too small."""
    if name in measured.image_metrics:
        pair = measured.scores(system, name), measured.scores(other, name)
        return paired_difference(*pair, replicates=measured.size.replicates, seed=measured.size.seed).p_value
    try:
        return _permutation_p(measured, measured.set_metrics[name], system, other)
    except NotMeasurableError:
        return None


def _permutation_p(measured: MeasuredSystems, metric: SetMetric, system: System, other: System) -> float:
    """The p value by exchanging the two systems' pictures user by user, against half of the references."""
    first, second = measured.drawn(system, metric), measured.drawn(other, metric)
    likes = measured.references(system, metric)
    users = len(np.unique(first.users))
    reference = first_of_each_user(likes, max(2, len(first) // users))
    difference = metric.resampling.permuted_difference(first, second, reference)
    return label_swap(users, difference, replicates=measured.size.swaps, seed=measured.size.seed)


def _summary(points: list[DosePoint], direction: str) -> Dose:
    values = np.array([np.nan if p["value"] is None else p["value"] for p in points])
    better = values if direction == "up" else -values
    complete = bool(np.isfinite(better).all())
    detected = [
        point["strength"]
        for point, response in zip(points[1:], better[1:], strict=True)
        if point["p"] is not None and point["p"] < ALPHA and response > better[0]
    ]
    rank = spearman(np.array(STRENGTHS), better) if complete else float("nan")
    return {
        "points": points,
        "spearman": rank if np.isfinite(rank) else None,
        "monotone": bool((np.diff(better) > 0).all()) if complete else None,
        "detected": min(detected, default=None),
    }

"""Dose and response: what each metric says as systems personalise more and more."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from prefbench.api import NotMeasurableError, SetMetric
from prefbench.stats.bootstrap import crossed_bootstrap
from prefbench.stats.ranks import spearman
from prefbench.stats.tests import label_swap, paired_difference

from .bench import Bench
from .scale import ALPHA, STRENGTHS
from .stored import value
from .systems import System

Result = dict[str, Any]


def response(bench: Bench) -> dict[str, Result]:
    """For each metric the value with interval at every strength, and the p value of each against strength 0."""
    return {name: _summary(_points(bench, name), card.direction) for name, card in bench.cards.items()}


def _points(bench: Bench, name: str) -> list[Result]:
    none, *others = bench.systems.strengths
    points = [_value(bench, name, none) | {"p": None}]
    return points + [_value(bench, name, system) | {"p": p_value(bench, name, system, none)} for system in others]


def _value(bench: Bench, name: str, system: System) -> Result:
    if name in bench.over_images:
        found = crossed_bootstrap(bench.scores(system, name), replicates=bench.scale.replicates, seed=bench.scale.seed)
        kept = {key: value for key, value in asdict(found).items() if key in ("value", "low", "high", "missing")}
    else:
        kept = value(bench.run(system).set_values(name))
    return {"strength": system.strength, **kept}


def p_value(bench: Bench, name: str, system: System, other: System) -> float | None:
    """The p value of no difference by the test that `prefbench compare` makes; None where a set is too small."""
    if name in bench.over_images:
        pair = bench.scores(system, name), bench.scores(other, name)
        return paired_difference(*pair, replicates=bench.scale.replicates, seed=bench.scale.seed).p_value
    try:
        return _swapped(bench, bench.over_sets[name], system, other)
    except NotMeasurableError:
        return None


def _swapped(bench: Bench, metric: SetMetric, system: System, other: System) -> float:
    """The p value by exchanging the two systems' pictures user by user, against half of the references."""
    first, second = bench.drawn(system, metric), bench.drawn(other, metric)
    whole = bench.references(system, metric)
    turn = np.concatenate([np.arange(n) for n in np.unique(whole.users, return_counts=True)[1]])
    reference = whole.select(turn < max(2, len(first) // len(np.unique(first.users))))
    difference = metric.resampling.permuted_difference(first, second, reference)
    return label_swap(len(np.unique(first.users)), difference, replicates=bench.scale.swaps, seed=bench.scale.seed)


def _summary(points: list[Result], direction: str) -> Result:
    values = np.array([np.nan if p["value"] is None else p["value"] for p in points])
    better = values if direction == "up" else -values
    complete = bool(np.isfinite(better).all())
    detected = [
        p["strength"]
        for p, reached in zip(points[1:], better[1:], strict=True)
        if p["p"] is not None and p["p"] < ALPHA and reached > better[0]
    ]
    rank = spearman(np.array(STRENGTHS), better) if complete else float("nan")
    return {
        "points": points,
        "spearman": rank if np.isfinite(rank) else None,
        "monotone": bool((np.diff(better) > 0).all()) if complete else None,
        "detected": min(detected, default=None),
    }

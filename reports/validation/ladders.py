"""Ladders of nuisances at one strength of personalisation, held against what was expected of every metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from prefbench.score.sets import SET_KEY
from prefbench.stats.tests import paired_difference

from .bench import Bench
from .claims import STAYS, TOLERANCE, Expectation, judge, none
from .expectations import EXPECTATIONS, Expectations
from .nuisances import NUISANCES
from .scale import MIDDLE, STRENGTHS
from .stored import difference
from .systems import System

Result = dict[str, Any]
_UNDECLARED = none("nothing was declared for this metric")


def climb(bench: Bench, expectations: Mapping[str, Expectations] = EXPECTATIONS) -> Result:
    """For each metric and nuisance: the effect at every level, in the metric's units, and the verdict at the top."""
    rows = [row for name in bench.cards for row in _metric(bench, name, expectations.get(name, {}))]
    return {"rows": rows, "not_measured": sorted(set(expectations) - set(bench.cards))}


def _metric(bench: Bench, name: str, expected: Expectations) -> list[Result]:
    claims = {nuisance: expected.get(nuisance, _UNDECLARED) for nuisance in NUISANCES}
    effects = {nuisance: _effects(bench, name, nuisance, claim.against) for nuisance, claim in claims.items()}
    scale = scale_of(bench, name)
    shown = [effects[nuisance][-1]["value"] for nuisance, claim in claims.items() if claim.claim in ("fall", "rise")]
    weakest = min((abs(value) for value in shown if value is not None), default=None)
    tolerance = None if scale is None else scale.tolerance
    return [
        _row(name, nuisance, claim, effects[nuisance], scale)
        | {"verdict": judge(claim.claim, _top(bench, name, nuisance, claim), tolerance, weakest=weakest)}
        for nuisance, claim in claims.items()
    ]


def _effects(bench: Bench, name: str, nuisance: str, against: float) -> list[Result]:
    levels = [system for system in bench.systems.ladders if system.nuisance == nuisance]
    return [{"level": system.level, **effect(bench, name, system, against)} for system in levels]


def _top(bench: Bench, name: str, nuisance: str, claim: Expectation) -> Result:
    """The effect of the strongest level, with the interval by which its claim is judged."""
    strongest = [system for system in bench.systems.ladders if system.nuisance == nuisance][-1]
    return effect(bench, name, strongest, claim.against, level=STAYS if claim.claim == "stay" else 0.95)


def _row(name: str, nuisance: str, claim: Expectation, effects: list[Result], scale: MetricScale | None) -> Result:
    top, unit = effects[-1], None if scale is None else scale.unit
    return {
        "metric": name,
        "nuisance": nuisance,
        "claim": claim.claim,
        "reason": claim.reason,
        "against": claim.against,
        "before": claim.before,
        "effects": effects,
        "unit": unit,
        "in_units": top["value"] / unit if unit and top["value"] is not None else None,
        "tolerance": None if scale is None else scale.tolerance,
    }


def effect(bench: Bench, name: str, system: System, against: float = MIDDLE, *, level: float = 0.95) -> Result:
    """What a metric says more of a system than of an unspoilt one, on the same users, prompts and seeds."""
    base = bench.systems.strengths[STRENGTHS.index(against)]
    if name not in bench.over_images:
        return difference(*(bench.run(one).set_values(name) for one in (system, base)), level=level)
    pair = bench.scores(system, name), bench.scores(base, name)
    options: dict[str, Any] = {"replicates": bench.scale.replicates, "seed": bench.scale.seed, "level": level}
    found = asdict(paired_difference(*pair, **options).estimate)
    return {key: found[key] for key in ("value", "low", "high")}


class MetricScale(NamedTuple):
    """The unit that a metric's effects are given in, and the effect up to which they count as none."""

    unit: float
    tolerance: float


def scale_of(bench: Bench, name: str) -> MetricScale | None:
    """The standard deviation over the pictures of all systems, and `TOLERANCE` of it; None without values.

    Over sets that over the systems' values; as some systems are far from all others, an effect counts as none only up
    to half of what full personalisation moves the metric by.
    """
    systems = (*bench.systems.strengths, *bench.systems.ladders)
    if name in bench.over_images:
        values = np.concatenate([bench.scores(system, name).values for system in systems])
        most = np.inf
    else:
        values = np.array([bench.run(system).set_values(name).get(SET_KEY) for system in systems], dtype=np.float64)
        most = abs(values[len(bench.systems.strengths) - 1] - values[0]) / 2
    if np.isnan(values).all():
        return None
    unit = float(np.nanstd(values))
    return MetricScale(unit, float(np.fmin(TOLERANCE * unit, most)))

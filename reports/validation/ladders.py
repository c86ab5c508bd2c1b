"""Ladders of nuisances at one strength of personalisation, compared with what was expected of every metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from prefbench.score.sets import SET_KEY
from prefbench.stats import LEVEL
from prefbench.stats.paired import paired_difference

from .claims import STAYS, TOLERANCE, Expectation, Interval, judge, none
from .expectations import EXPECTATIONS, Expectations
from .measured import MeasuredSystems
from .nuisances import NUISANCES
from .schema import LadderRow, Ladders, LevelEffect
from .set_estimates import difference
from .settings import MIDDLE, STRENGTHS
from .systems import System

_UNDECLARED = none("nothing was declared for this metric")


def corruption_effects(measured: MeasuredSystems, expectations: Mapping[str, Expectations] = EXPECTATIONS) -> Ladders:
    """For each metric and nuisance: the effect at every level, in the metric's units, and the outcome at the top."""
    rows = [row for name in measured.cards for row in _rows(measured, name, expectations.get(name, {}))]
    return {"rows": rows, "not_measured": sorted(set(expectations) - set(measured.cards))}


def _rows(measured: MeasuredSystems, name: str, expected: Expectations) -> list[LadderRow]:
    claims = {nuisance: expected.get(nuisance, _UNDECLARED) for nuisance in NUISANCES}
    effects = {nuisance: _effects(measured, name, nuisance, claim.against) for nuisance, claim in claims.items()}
    required = [effects[nuisance][-1]["value"] for nuisance, claim in claims.items() if claim.claim in ("fall", "rise")]
    weakest = min((abs(value) for value in required if value is not None), default=None)
    scale = scale_of(measured, name)
    return [
        _row(measured, name, nuisance, claim, effects[nuisance], scale, weakest) for nuisance, claim in claims.items()
    ]


def _row(
    measured: MeasuredSystems, name: str, nuisance: str, claim: Expectation, effects: list[LevelEffect],
    scale: MetricScale | None, weakest: float | None,
) -> LadderRow:  # fmt: skip
    value, unit = effects[-1]["value"], None if scale is None else scale.unit
    tolerance = None if scale is None else scale.tolerance
    strongest = _levels(measured, nuisance)[-1]
    level = STAYS if claim.claim == "stay" else LEVEL
    top = effect(measured, name, strongest, claim.against, level=level)
    return {
        "metric": name,
        "nuisance": nuisance,
        "claim": claim.claim,
        "reason": claim.reason,
        "against": claim.against,
        "before": claim.before,
        "effects": effects,
        "unit": unit,
        "in_units": value / unit if unit and value is not None else None,
        "tolerance": tolerance,
        "verdict": judge(claim.claim, top, tolerance, weakest=weakest),
    }


def _effects(measured: MeasuredSystems, name: str, nuisance: str, against: float) -> list[LevelEffect]:
    return [{"level": s.level, **effect(measured, name, s, against)} for s in _levels(measured, nuisance)]


def _levels(measured: MeasuredSystems, nuisance: str) -> list[System]:
    """The systems of one ladder, from weak to strong."""
    return [system for system in measured.systems.ladders if system.nuisance == nuisance]


def effect(
    measured: MeasuredSystems, name: str, system: System, against: float = MIDDLE, *, level: float = LEVEL
) -> Interval:
    """The difference in a metric of a system to one without a nuisance, on the same users, prompts and seeds."""
    base = measured.systems.strengths[STRENGTHS.index(against)]
    if name not in measured.image_metrics:
        return difference(*(measured.run(one).set_values(name) for one in (system, base)), level=level)
    pair, size = (measured.scores(system, name), measured.scores(base, name)), measured.size
    estimate = paired_difference(*pair, replicates=size.replicates, seed=size.seed, level=level).estimate
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


class MetricScale(NamedTuple):
    """The unit that a metric's effects are given in, and the effect up to which they count as none."""

    unit: float
    tolerance: float


def scale_of(measured: MeasuredSystems, name: str) -> MetricScale | None:
    """The standard deviation over the pictures of all systems, and `TOLERANCE` of it; None without values.

    For set-level metrics that over the systems' values; as some systems are far from all others, an effect counts as
    none only up to half of what full personalisation moves the metric by.
    """
    systems = (*measured.systems.strengths, *measured.systems.ladders)
    if name in measured.image_metrics:
        values = np.concatenate([measured.scores(system, name).values for system in systems])
        most = np.inf
    else:
        stored = [measured.run(system).set_values(name).get(SET_KEY) for system in systems]
        values = np.array(stored, dtype=np.float64)
        most = abs(values[len(measured.systems.strengths) - 1] - values[0]) / 2
    if np.isnan(values).all():
        return None
    unit = float(np.nanstd(values))
    return MetricScale(unit, float(np.fmin(TOLERANCE * unit, most)))

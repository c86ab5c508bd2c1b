"""How far each metric ranks the methods of a world as the truth does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from prefbench.api import ScoredRun, Scores
from prefbench.score.sets import SET_KEY
from prefbench.stats.joint import complete_rows
from prefbench.stats.ranks import Correlation, Standings, estimate, tau
from prefbench.stats.scores import user_means

from ..shared.frame import UTILITY
from .orders import TrueOrder
from .schema import MetricRecord, MetricTau
from .worlds import World

_SEED = 0


def metrics_of(worlds: Sequence[World]) -> dict[str, MetricRecord]:
    """Every whole metric with a direction that some run was scored with, but the truth itself; sets last."""
    found: dict[str, MetricRecord] = {}
    for run in (run for world in worlds for run in world.runs.values()):
        for name, column in run.columns().items():
            if "/" not in name and column.direction and name != UTILITY:
                about = MetricRecord(direction=column.direction, unit=column.unit, extractor=column.extractor)
                found.setdefault(name, about)
        for name, header in run.set_metrics().items():
            about = MetricRecord(direction=header.direction, unit="set", extractor=header.encoder_of(name))
            found.setdefault(name, about)
    return dict(sorted(found.items(), key=lambda one: one[1]["unit"] == "set"))


def found_in(order: TrueOrder, metrics: Mapping[str, MetricRecord]) -> dict[str, MetricTau | None]:
    """Kendall's tau-b with the true order of one world, metric by metric; None where some method has no value."""
    return {name: _of_set(order, name, about) if about["unit"] == "set" else _of_column(order, name, about)
            for name, about in metrics.items()}  # fmt: skip


def _of_set(order: TrueOrder, name: str, about: MetricRecord) -> MetricTau | None:
    """Without an interval: resampling users would show a set the same picture twice, which moves these metrics."""
    stored = [run.set_values(name).get(SET_KEY) for run in order.world.runs.values()]
    if not all(value is not None for value in stored):
        return None
    values = _sign(about) * np.array(stored, dtype=np.float64)
    return {"tau": estimate(tau(values, order.means), (None, None), len(values)), "unranked": []}


def _of_column(order: TrueOrder, name: str, about: MetricRecord) -> MetricTau | None:
    columns = [run.columns().get(name) for run in order.world.runs.values()]
    present = [column for column in columns if column is not None]
    if len(present) < len(columns) or any(np.isnan(column.scores.values).all() for column in present):
        return None
    sign = _sign(about)
    signed = [replace(c.scores, values=sign * c.scores.values, bounds=(None, None)) for c in present]
    truth = _of_users(order.world) if about["unit"] == "user" else _true(order.world)
    correlation = _correlation(signed, truth, order.replicates)
    if correlation is None:
        return None
    return {"tau": correlation, "unranked": list(dict.fromkeys(c.unranked for c in present if c.unranked))}


def _correlation(metric: Sequence[Scores], truth: Sequence[Scores], replicates: int) -> Correlation | None:
    """Both on the rows that all methods have both for, so that both are resampled alike."""
    complete = complete_rows([*metric, *truth])
    if not len(complete[0]):
        return None
    sides = complete[: len(metric)], complete[len(metric) :]
    one, other = (Standings.of(side, replicates=replicates, seed=_SEED) for side in sides)
    return one.correlation(other)


def _true(world: World) -> list[Scores]:
    return [run.columns()[UTILITY].scores for run in world.runs.values()]


def _of_users(world: World) -> list[Scores]:
    """The true utility as one value per user, as metrics with one have them; NaN for a user without any."""
    return [_by_user(run, scores) for run, scores in zip(world.runs.values(), _true(world), strict=True)]


def _by_user(run: ScoredRun, scores: Scores) -> Scores:
    users = np.array(sorted(run.kinds))
    present = np.isin(users, scores.users[~np.isnan(scores.values)])
    values = np.full(len(users), np.nan)
    values[present] = user_means(scores)
    return Scores(values, users, np.full(len(users), ""), users)


def _sign(about: MetricRecord) -> int:
    return -1 if about["direction"] == "down" else 1

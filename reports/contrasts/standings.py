"""Where runs stand by one metric: means, rank intervals, Bradley-Terry strengths, and what decides the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from prefbench.api import Estimate, PrefbenchError, ScoredRun, Scores
from prefbench.api.near import unknown
from prefbench.stats.joint import Rank, rank_intervals
from prefbench.stats.leave_one_out import leave_one_out
from prefbench.stats.means import mean_interval
from prefbench.stats.scores import differences
from prefbench.stats.strengths import UnlinkedError, strengths

from ..shared.frame import is_control, ranking_metric
from ..shared.paired import Columns, on_shared_keys, on_shared_samples


@dataclass(frozen=True)
class Standing:
    """One run's mean, its rank among honest methods, and its log strength among all runs."""

    label: str
    mean: Estimate
    rank: Rank | None
    strength: Estimate | None


@dataclass(frozen=True)
class Overtaking:
    """Two neighbours in rank, and the users and prompts whose removal, one at a time, reverses their order."""

    ahead: str
    behind: str
    turns: tuple[str, ...]


@dataclass(frozen=True)
class Standings:
    """Runs by one metric, the best first, honest methods before controls."""

    metric: str
    direction: str
    rows: Sequence[Standing]
    overtakings: Sequence[Overtaking]
    unlinked: str | None = None
    """Why there are no strengths."""
    extractor: str = ""
    """The encoder that the metric rests on."""
    foreign: str = ""
    """Why it is not to be trusted with this suite's pictures; empty where it is."""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def stand(by_label: Mapping[str, ScoredRun], columns: Mapping[str, Columns], by: str | None) -> Standings | None:
    """The standings by a metric over images; None where none was asked for and there is none of preference.

    Only methods that are no controls are ranked, and of a learned scorer only those that it may judge; strengths are
    of all runs, since each is an opponent of the others.

    Raises:
        PrefbenchError: the metric is no metric over images that all runs have.
    """
    metric = shared_metric(columns, by)
    if metric is None:
        return None
    column = next(iter(columns.values()))[metric]
    direction = column.direction
    shared = on_shared_samples({label: {metric: own[metric]} for label, own in columns.items()})
    scores = {label: own[metric].scores for label, own in shared.items()}
    unranked = {label for label, own in columns.items() if is_control(by_label[label]) or own[metric].unranked}
    honest = {label: own for label, own in scores.items() if label not in unranked and not np.isnan(own.values).all()}
    ranks = _ranked(honest, direction == "up")
    strong, unlinked = _strengths(scores, direction == "up")
    rows = [Standing(label, mean_interval(s), ranks.get(label), strong.get(label)) for label, s in scores.items()]
    rows.sort(key=lambda row: (row.label in unranked, _place(row.mean.value, direction)))
    order = sorted(ranks, key=lambda label: ranks[label].rank)
    overtakings = [Overtaking(a, b, _reversing(*on_shared_keys(scores[a], scores[b]))) for a, b in pairwise(order)]
    return Standings(metric, direction, rows, overtakings, unlinked, column.extractor, column.foreign)


def shared_metric(columns: Mapping[str, Columns], request: str | None) -> str | None:
    """The metric asked for, else the known truth, else the headline, else the first of preference; None without any.

    Raises:
        PrefbenchError: the one asked for is no metric over images that all runs have and that can be won.
    """
    first = next(iter(columns.values()))
    shared = [n for n, column in first.items() if column.direction and all(n in own for own in columns.values())]
    if request is not None and request in first and not first[request].direction:
        raise PrefbenchError(f"nothing can be ranked by {request}: neither more nor less of it is better")
    if request is not None and request not in shared:
        raise PrefbenchError(unknown("metric over images that all runs have", request, shared))
    preferences = [name for name in shared if first[name].question == "preference"]
    return request or ranking_metric(preferences) or next(iter(preferences), None)


def _place(value: float | None, direction: str) -> float:
    return float("inf") if value is None else -value if direction == "up" else value


def _ranked(honest: Mapping[str, Scores], higher_is_better: bool) -> dict[str, Rank]:
    shared = on_shared_keys(*honest.values()) if honest else []
    if len(honest) < 2 or np.isnan(np.stack([s.values for s in shared])).any(axis=0).all():
        return {}
    return rank_intervals(dict(zip(honest, shared, strict=True)), higher_is_better=higher_is_better)


def _strengths(scores: Mapping[str, Scores], higher_is_better: bool) -> tuple[dict[str, Estimate], str | None]:
    """Strengths of all runs that have values, or why there are none."""
    valued = {label: own for label, own in scores.items() if not np.isnan(own.values).all()}
    try:
        shared = dict(zip(valued, on_shared_keys(*valued.values()), strict=True)) if valued else {}
        return (strengths(shared, higher_is_better=higher_is_better) if len(shared) > 1 else {}), None
    except UnlinkedError as error:
        return {}, str(error)


def _reversing(a: Scores, b: Scores) -> tuple[str, ...]:
    """The users and prompts whose removal, one at a time, changes the sign of `a` minus `b`."""
    whole, without = mean_interval(differences(a, b)), leave_one_out(a, b)
    reverses = without.values * (whole.value or 0) < 0
    return tuple(name for name, reversing in zip(without.names, reverses, strict=True) if reversing)

"""A report of one's own: for how many users one run is better than another, metric by metric.

prefbench check report examples/win_rates.py:WinRates
prefbench report RUN RUN... --name examples/win_rates.py:WinRates
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from prefbench.api import Column, Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun


@dataclass(frozen=True)
class WinRate:
    """How often the first run has the better mean per user; equal means count half."""

    metric: str
    first: str
    second: str
    rate: float
    users: int


class WinRates(Report[Sequence[WinRate]]):
    """The share of users with the better mean, for every pair of runs and every per-image metric with a direction.

    Args:
        minimum: users that two runs must share.
    """

    card = ReportCard("win-rates", "1", "the share of users for whom one run is better than another", takes="runs")

    def __init__(self, *, minimum: int = 1) -> None:
        self._minimum = minimum

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Sequence[WinRate]:
        return [
            self._rate(name, first, second)
            for first, second in combinations(runs, 2)
            for name, column in first.columns().items()
            if column.direction and name in second.columns()
        ]

    def _rate(self, name: str, first: ScoredRun, second: ScoredRun) -> WinRate:
        own, other = _user_means(first.columns()[name]), _user_means(second.columns()[name])
        users = sorted(own.keys() & other.keys())
        if len(users) < self._minimum:
            raise PrefbenchError(f"{first.method} and {second.method} share {len(users)} users, not {self._minimum}")
        sign = 1 if first.columns()[name].direction == "up" else -1
        differences = sign * np.array([own[user] - other[user] for user in users])
        return WinRate(name, first.method, second.method, float(((np.sign(differences) + 1) / 2).mean()), len(users))

    def as_json(self, result: Sequence[WinRate]) -> Sequence[Mapping[str, Any]]:
        return [asdict(rate) for rate in result]

    def tables(self, result: Sequence[WinRate]) -> Sequence[Grid]:
        rows = [(r.metric, r.first, r.second, f"{r.rate:.2f}", str(r.users)) for r in result]
        return [Grid("win rates", ("metric", "first", "second", "share of users", "users"), [rows])]


def _user_means(column: Column) -> dict[str, float]:
    """Mean value per user; users without a value are left out."""
    known = ~np.isnan(column.scores.values)
    values, users = column.scores.values[known], column.scores.users[known]
    return {str(user): float(values[users == user].mean()) for user in np.unique(users)}

"""The report `attacks`: attackers compared with honest methods in every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.api import Grid, Report, ReportCard, ReportContext, ScoredRun
from prefbench.score.summary import Run

from ..shared.published import results_folder
from .measure import Result, attacks, publish
from .table import grid


class Attacks(Report[Result]):
    """Scored runs of attackers, such as `copy`, against the best honest method among the runs, metric by metric."""

    card = ReportCard(
        name="attacks",
        version="1",
        summary="which metric each attacker fools, against the best honest method",
        takes="runs",
        published="attacks",
    )

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Result:  # noqa: ARG002
        """The table of attacks. Raises what `attacks` raises."""
        return attacks([Run.open(run.path) for run in runs])

    def as_json(self, result: Result) -> Mapping[str, Any]:
        return result

    def tables(self, result: Result) -> Sequence[Grid]:
        return [grid(result)]

    def write(self, result: Result, folder: Path) -> Sequence[Path]:
        return publish(result, folder)

    def publish(self, result: Result, results: Path | None = None) -> Sequence[Path]:
        return publish(result, (results or results_folder()) / self.card.published)

"""Scored runs tested against each other, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from prefbench.api import Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun
from prefbench.run.environment import code_state, hardware, versions

from ..shared.frame import BASELINE
from ..shared.published import portable, write_json
from .contrasts import SWAPS, MeasuredContrasts, as_json, contrast
from .grids import contrast_grid, standings_grid


@dataclass(frozen=True)
class ContrastsResult:
    """Contrasts and standings with what they were made by."""

    contrasts: MeasuredContrasts
    made_by: Mapping[str, Any]
    """Command, code, hardware and versions."""


class Contrasts(Report[ContrastsResult]):
    """Paired contrasts of runs in every metric, effect sizes, ranks, strengths, and what a single user can turn.

    Args:
        baseline: the label or method of the run that all others are compared with.
        pairs: `all` compares every pair of runs instead.
        metrics: columns of per-image metrics and set-level metrics; by default all that every run has, without parts.
        by: the metric of ranks and strengths; by default `utility`, else the headline, else the first of preference.
        swaps: replicates of the permutation test of set-level metrics.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "contrasts", "2", "paired tests between runs: differences, effect sizes, ranks, strengths", "two runs"
    )

    def __init__(
        self,
        baseline: str = BASELINE,
        pairs: Literal["baseline", "all"] = "baseline",
        metrics: tuple[str, ...] = (),
        by: str | None = None,
        swaps: int = SWAPS,
    ) -> None:
        if swaps < 1:
            raise PrefbenchError(f"swaps must be at least 1, got {swaps}")
        self._choices: dict[str, Any] = {"baseline": baseline, "metrics": metrics, "by": by, "swaps": swaps}
        self._choices["all_pairs"] = pairs == "all"

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> ContrastsResult:
        """The contrasts. Raises `PrefbenchError` as `contrast` does."""
        contrasts = contrast(runs, context.suite, **self._choices)
        made_by = {"command": portable(context.command), "code": code_state()}
        return ContrastsResult(contrasts, made_by | {"hardware": hardware(), "versions": versions()})

    def as_json(self, result: ContrastsResult) -> Mapping[str, Any]:
        """Contrasts, standings, what was not compared and why, and what made them."""
        return {**as_json(result.contrasts), **result.made_by}

    def tables(self, result: ContrastsResult) -> Sequence[Grid]:
        """Contrasts, then where runs stand."""
        contrasts = result.contrasts
        standings = [] if contrasts.standings is None else [standings_grid(contrasts, contrasts.standings)]
        return [contrast_grid(contrasts), *standings]

    def write(self, result: ContrastsResult, folder: Path) -> Sequence[Path]:
        """Writes `contrasts.json`."""
        return [write_json(folder / "contrasts.json", self.as_json(result))]

"""The report `validation`: every metric measured against a known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from prefbench.api import Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun
from prefbench.registry import names
from prefbench.run.prepare import check_metrics, load_suite
from prefbench.score.summary import Run

from ..table.compare import check_mix, label_runs
from . import page
from .schema import ValidationResult
from .settings import ValidationSize
from .study import validate
from .tables import required_grid


class Validation(Report[ValidationResult]):
    """Graded systems with a known truth, nuisances, identical methods, and where runs are given their true ranking.

    Args:
        suite: one that knows the truth.
        metrics: comma-separated names, `utility` among them; all that are registered where none are named.
        size: `trial` draws and compares so little that all is done in a minute; its numbers mean nothing.
    """

    card = ReportCard(
        name="validation",
        version="3",
        summary="metrics against a known truth: graded personalisation, nuisances, false positives, intervals",
        takes="runs or none",
        published="validation",
    )

    def __init__(
        self, suite: str = "picturebook", metrics: str | None = None, size: Literal["full", "trial"] = "full"
    ) -> None:
        self._suite = suite
        self._metrics = [name.strip() for name in metrics.split(",")] if metrics else names("metric")
        self._size = ValidationSize() if size == "full" else ValidationSize.trial()

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> ValidationResult:
        """Validates; what stands in `context.work` from a call before is not measured again.

        Raises:
            PrefbenchError: runs that do not belong together or were drawn for another suite; what `validate` raises.
        """
        check_metrics(self._metrics)
        suite, _ = load_suite(self._suite)
        opened = [Run.open(run.path) for run in runs]
        if opened:
            check_mix(opened)
            if opened[0].spec["suite_digest"] != suite.digest:
                raise PrefbenchError(f"{opened[0].path} was drawn for another suite than {self._suite}")
        labelled = dict(zip(label_runs(opened), opened, strict=True))
        result = validate(
            suite,
            context.work,
            self._metrics,
            runs=labelled,
            size=self._size,
            command=context.command,
            log=context.log,
        )
        return page.without_folders(result)

    def as_json(self, result: ValidationResult) -> Mapping[str, Any]:
        return result

    def tables(self, result: ValidationResult) -> Sequence[Grid]:
        return [required_grid(result)]

    def write(self, result: ValidationResult, folder: Path) -> Sequence[Path]:
        return page.write(result, folder)

    def publish(self, result: ValidationResult, results: Path) -> Sequence[Path]:
        return page.publish(result, results / self.card.published)

"""The report `validation`: every metric measured against a known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from prefbench.api import Grid, PrefbenchError, ReportCard, ReportContext, ScoredRun
from prefbench.registry import default, names
from prefbench.run.metric_names import check_metrics
from prefbench.run.prepare import load_suite

from ..shared.escape import slug
from ..shared.labels import check_mix, label_runs
from ..shared.published import Published
from . import unmet
from .figures import draw
from .page import render, without_folders
from .schema import ValidationResult
from .settings import ValidationSize
from .study import validate
from .tables import required_grid


class Validation(Published[ValidationResult]):
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
        self, suite: str = default("suite"), metrics: str | None = None, size: Literal["full", "trial"] = "full"
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
        if runs:
            check_mix(runs)
            if runs[0].spec["suite_digest"] != suite.digest:
                raise PrefbenchError(f"{runs[0].path} was drawn for another suite than {self._suite}")
        return validate(
            suite,
            context.work,
            self._metrics,
            runs=dict(zip(label_runs(runs), runs, strict=True)),
            size=self._size,
            command=context.command,
            log=context.log,
        )

    def as_json(self, result: ValidationResult) -> Mapping[str, Any]:
        """The whole result."""
        return self.stored(result)

    def tables(self, result: ValidationResult) -> Sequence[Grid]:
        """What is required; the other tables stand on the page."""
        return [required_grid(result)]

    def stem(self, result: ValidationResult) -> str:
        """The suite."""
        return slug(result["suite"])

    def stored(self, result: ValidationResult) -> ValidationResult:
        """The result without the folders of a machine."""
        return without_folders(result)

    def render(self, result: ValidationResult) -> str:
        """The page."""
        return render(result, self.stem(result))

    def draw(self, result: ValidationResult, folder: Path) -> Sequence[Path]:
        """One figure per question."""
        return draw(result, folder / self.stem(result))

    def publish(self, result: ValidationResult, results: Path | None = None) -> Sequence[Path]:
        """Writes figures, data and page, and the unmet requirements that tables of runs quote."""
        paths = super().publish(result, results)
        return [*paths, unmet.write(self.committed(results), self._folder(results))]

    def stale(self, results: Path | None = None) -> Sequence[str]:
        """The committed pages and figures, and the file of unmet requirements, that are not up to date."""
        outdated = unmet.stale(self.committed(results), self._folder(results))
        return [*super().stale(results), *outdated]

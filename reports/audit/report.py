"""The report `audit`: leaks, copies and slips in run folders, one line per check."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prefbench.api import Cells, Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun, Suite, counted
from prefbench.check.findings import Finding
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import recorded_suite
from prefbench.score.score_files import samples_digests

from ..shared.audited import store_outcome
from .audited_run import split_of
from .checks import audit
from .contents import SuiteContents, read_suite
from .fresh import Sources, cannot_be_made, draw_fresh, fresh_of

_ROWS_SHOWN = 10


@dataclass(frozen=True)
class RunFindings:
    """The findings of one run, by the name of its folder."""

    run: str
    findings: Sequence[Finding]

    @property
    def failed(self) -> Sequence[str]:
        """The checks that failed."""
        return [finding.check for finding in self.findings if not finding.passed]

    @property
    def verdict(self) -> str:
        """The outcome of all checks in words: `clean` where none failed, with the warnings that remain."""
        warned = [finding.check for finding in self.findings if finding.outcome == "warning"]
        if self.failed:
            return f"{len(self.failed)} of {counted(len(self.findings), 'check')} FAILED: {', '.join(self.failed)}"
        return f"clean, with warnings: {', '.join(warned)}" if warned else "clean"


class Audit(Report[Sequence[RunFindings]]):
    """Users, rows, seeds, prompts, training data, images and scores of runs, each compared with the suite.

    The first run of a suite takes a minute or two for 100,000 pictures, further ones seconds. Runs may be unfinished or
    unscored, which the findings say.

    Args:
        suite: where the suite is a file's class, `path/to/file.py:Class`.
        fresh: draw for so many users of a secret seed too, and compare; 0 for none.
        method: for fresh users, where the method is a file's class.
        backbone: for fresh users, where the backbone is a folder.
    """

    card = ReportCard(
        name="audit",
        version="1",
        summary="leaks, copies and slips in run folders: each run against its suite",
        takes="runs",
    )

    def __init__(
        self, suite: str | None = None, fresh: int = 0, method: str | None = None, backbone: str | None = None
    ) -> None:
        if fresh < 0 or fresh == 1:
            raise PrefbenchError(f"fresh must be at least 2 users, got {fresh}")
        self._fresh, self._sources = fresh, Sources(suite, method, backbone)

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Sequence[RunFindings]:
        """The findings of every run. Raises `PrefbenchError` for a folder that is no run, or names no known suite."""
        collected: dict[str, tuple[Suite, SuiteContents]] = {}
        audited = []
        for run in runs:
            folder = RunFolder(run.path)
            spec = folder.read_description()["spec"]
            split = split_of(spec)
            data = json.dumps([spec.get("suite"), spec.get("suite_parameters"), split], sort_keys=True)
            if data not in collected:
                suite = recorded_suite(spec, self._sources.suite)
                context.log(f"look at the pictures of {suite.card.name}")
                collected[data] = suite, read_suite(suite, split, context.bar)
            context.log(f"audit {run.path.name}")
            reason = cannot_be_made(spec, self._sources) if self._fresh else ""
            if self._fresh and not reason:
                draw_fresh(run, self._fresh, self._sources, context)
            findings = audit(folder, *collected[data], bar=context.bar, rows=run.samples, no_fresh=reason)
            store_outcome(folder, run.samples, findings, fresh_of(run.path, samples_digests(run.samples, folder.owner)))
            audited.append(RunFindings(run.path.name, findings))
        return audited

    def as_json(self, result: Sequence[RunFindings]) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "run": audited.run,
                "passed": not audited.failed,
                "findings": [{**asdict(finding), "passed": finding.passed} for finding in audited.findings],
            }
            for audited in result
        ]

    def passed(self, result: Sequence[RunFindings]) -> bool:
        return not any(audited.failed for audited in result)

    def tables(self, result: Sequence[RunFindings]) -> Sequence[Grid]:
        return [_grid(audited) for audited in result]


def _grid(audited: RunFindings) -> Grid:
    """One row per check, below its detail the first rows that it is about."""
    title = f"run {audited.run}: {audited.verdict}"
    rows = [_cells(finding) for finding in audited.findings]
    return Grid(title, ("outcome", "check", "detail"), [rows], kept=(0, 1), words=(0, 1, 2))


def _cells(finding: Finding) -> Cells:
    rows = [", ".join(f"{name} {_short(value)}" for name, value in row.items()) for row in finding.rows[:_ROWS_SHOWN]]
    more = len(finding.rows) - _ROWS_SHOWN
    detail = [finding.detail, *rows, *([f"and {more} more, all of them with --json"] if more > 0 else [])]
    return finding.outcome, finding.check, "\n".join(detail)


def _short(value: object) -> str:
    """A value as a line shows it; the first letters of a digest."""
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text

"""The conformance suite of reports: what ships and the example conform, and each rule is seen to be broken."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from prefbench import registry
from prefbench.api import ALL, Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun
from prefbench.check import check_report
from prefbench.check.made_up_runs import made_up_runs

EXAMPLE = Path(__file__).parents[2] / "examples" / "win_rates.py"


class Means(Report[Mapping[str, float | None]]):
    """The mean of every column."""

    card: ClassVar[ReportCard] = ReportCard("means", "1", "means of all columns", "runs")

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Mapping[str, float | None]:  # noqa: ARG002
        return {f"{run.method} {row.metric}": row.value for run in runs for row in run.summary() if row.kind == ALL}

    def as_json(self, result: Mapping[str, float | None]) -> Mapping[str, Any]:
        return dict(result)

    def tables(self, result: Mapping[str, float | None]) -> Sequence[Grid]:
        return [Grid("means", ("column", "mean"), [[(name, f"{value}") for name, value in result.items()]])]

    def write(self, result: Mapping[str, float | None], folder: Path) -> Sequence[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "means.txt").write_text(str(result))
        return [folder / "means.txt"]


class NotANumber(Means):
    def as_json(self, result: Mapping[str, float | None]) -> Mapping[str, Any]:
        return dict(result) | {"odd": float("nan")}


class Local(Means):
    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Mapping[str, float | None]:
        return {**super().measure(runs, context), str(runs[0].path): 0.0}


class Restless(Means):
    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Mapping[str, float | None]:
        self.turn = getattr(self, "turn", 0) + 1
        return {**super().measure(runs, context), "turn": float(self.turn)}


class Ragged(Means):
    def tables(self, result: Mapping[str, float | None]) -> Sequence[Grid]:
        return [Grid("means", ("column", "mean"), [[(name,) for name in result]])]


class Bare(Means):
    def tables(self, result: Mapping[str, float | None]) -> Sequence[Grid]:  # noqa: ARG002
        return [Grid("means", ("column", "mean"), [[("a", "nan")]])]


class Torn(Means):
    def write(self, result: Mapping[str, float | None], folder: Path) -> Sequence[Path]:
        paths = super().write(result, folder)
        (folder / ".means.txt.7.tmp").write_text("half")
        return paths


class Boastful(Means):
    def write(self, result: Mapping[str, float | None], folder: Path) -> Sequence[Path]:
        return [*super().write(result, folder), folder / "figure.png"]


class Meddling(Means):
    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Mapping[str, float | None]:
        for run in runs:
            (run.path / "report.md").write_text("beside the data")
        return super().measure(runs, context)


class Nameless(Means):
    card = ReportCard("means", "1", " ", "runs")


class Unpublished(Means):
    def stale(self, results: Path | None = None) -> Sequence[str]:  # noqa: ARG002
        return []


class Verbose(Means):
    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Mapping[str, float | None]:  # noqa: ARG002
        raise PrefbenchError("no\nluck")


@pytest.mark.parametrize("name", registry.names("report"))
@pytest.mark.slow
def test_what_ships_conforms(name: str) -> None:
    findings = check_report(name)
    assert [finding for finding in findings if not finding.passed] == []
    assert len(findings) == 8


def test_the_example_conforms_in_every_check() -> None:
    assert {finding.outcome for finding in check_report(f"{EXAMPLE}:WinRates")} == {"ok"}


@pytest.mark.parametrize(
    ("report", "failed"),
    [
        (Means, set()),
        (NotANumber, {"plain data"}),
        (Local, {"plain data"}),
        (Restless, {"repeats"}),
        (Ragged, {"tables"}),
        (Bare, {"tables"}),
        (Torn, {"files"}),
        (Boastful, {"files"}),
        (Meddling, {"runs untouched"}),
        (Nameless, {"card"}),
        (Unpublished, {"card"}),
        (Verbose, {"measured"}),
    ],
)
def test_a_report_fails_the_rule_that_it_breaks(report: type[Means], failed: set[str]) -> None:
    assert {finding.check for finding in check_report(report) if not finding.passed} == failed


class Plain(Means):
    """Has no `write` of its own."""

    write = Report.write


def test_a_report_without_a_write_of_its_own_writes_its_data(tmp_path: Path) -> None:
    (path,) = Plain().write({"a": 0.5}, tmp_path / "new")
    assert path == tmp_path / "new" / "means.json"
    assert json.loads(path.read_text()) == {"a": 0.5}
    assert list(path.parent.iterdir()) == [path]
    (files,) = (finding for finding in check_report(Plain) if finding.check == "files")
    assert (files.outcome, files.detail) == ("ok", "1 file")


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(PrefbenchError, match=r"is not a subclass of prefbench\.api\.Report"):
        check_report(Path)  # type: ignore[arg-type]


def test_made_up_runs_hold_a_failure_and_a_missing_value(tmp_path: Path) -> None:
    baseline, method, _ = made_up_runs(tmp_path)
    rows = {(row.metric, row.kind): row for row in method.summary()}
    assert rows["made-up-score", ALL].missing == 2, "one failed, one has no value"
    assert [row.missing for row in baseline.summary() if (row.metric, row.kind) == ("made-up-score", ALL)] == [0]
    assert rows["made-up-distance", ALL].floor == 2.0

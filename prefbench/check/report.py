"""The conformance suite of reports, on two small made-up scored runs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from prefbench.api import Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun, counted
from prefbench.check.cards import check_card, check_defaults, registered_name
from prefbench.check.findings import Check, Finding, Listener, fail, one_line, run_checks, skip
from prefbench.check.made_up import MadeUpSuite
from prefbench.check.made_up_runs import made_up_runs
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import load

_TAKES = ("run", "runs", "two runs", "runs or none", "none")


def check_report(
    report: str | type[Report[Any]],
    parameters: Sequence[str] = (),
    *,
    listener: Listener = lambda _: None,
) -> list[Finding]:
    """Checks a report: its card and options, that its result is plain data, its tables whole, its files complete.

    Args:
        report: a registered name, path/to/file.py:Class, or the class.
        parameters: options of the report, as `name=value`.
        listener: receives each finding as soon as its check ends.

    Raises:
        PrefbenchError: an unknown name or option, or an object that is no `Report`.
    """
    constructor = load("report", report) if isinstance(report, str) else report
    if not (isinstance(constructor, type) and issubclass(constructor, Report)):
        raise PrefbenchError(f"{report} is not a subclass of prefbench.api.Report")
    static: dict[str, Check] = {
        "card": partial(_check_card, constructor, registered_name(report)),
        "options": partial(check_defaults, constructor, parameters),
    }
    findings = run_checks(static, listener)
    if not all(finding.passed for finding in findings):
        return findings
    options = bind(constructor, parse_pairs(parameters))
    with tempfile.TemporaryDirectory(prefix="prefbench-") as folder:
        checks = ReportChecks(constructor, options, Path(folder)).all()
        return findings + run_checks(checks, listener)


def _check_card(constructor: type[Report[Any]], registered: str | None) -> str:
    card = getattr(constructor, "card", None)
    check_card(card, ReportCard, registered)
    assert isinstance(card, ReportCard)
    if card.takes not in _TAKES:
        fail(f"takes is one of {', '.join(_TAKES)}, got {card.takes!r}")
    overridden = [name for name in ("publish", "stale", "rebuild") if name in vars(constructor)]
    if overridden and not card.published:
        fail(f"{overridden[0]} is there, but the card leaves published empty")
    return f"{card.name} {card.version}, takes {card.takes}"


class ReportChecks:
    """The checks that measure. They share one result; the runs lie in a folder that is gone afterwards."""

    def __init__(self, constructor: type[Report[Any]], options: Mapping[str, Any], folder: Path) -> None:
        self._constructor, self._options, self._folder = constructor, options, folder
        self._before: dict[str, bytes] = {}

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        return {
            "measured": self.measured,
            "plain data": self.plain_data,
            "repeats": self.repeats,
            "tables": self.tables,
            "files": self.files,
            "runs untouched": self.untouched,
        }

    @cached_property
    def _report(self) -> Report[Any]:
        return self._constructor(**self._options)

    @cached_property
    def _runs(self) -> Sequence[ScoredRun]:
        takes = self._constructor.card.takes
        runs = [] if takes == "none" else made_up_runs(self._folder / "runs")
        self._before = _contents(self._folder / "runs")
        return runs[:1] if takes == "run" else runs

    def _measure(self) -> Any:
        return self._report.measure(self._runs, ReportContext(MadeUpSuite, work=self._folder / "work"))

    @cached_property
    def _result(self) -> Any:
        """The measured result, once for all checks; where made-up runs are refused, nothing else can be looked at."""
        try:
            return self._measure()
        except PrefbenchError as error:
            skip(f"made-up runs are refused: {one_line(error)}")

    def measured(self) -> str:
        """The result of the made-up runs, or one line that says what they lack."""
        try:
            self._measure()
        except PrefbenchError as error:
            if "\n" in str(error):
                fail(f"what is wrong must be one line: {str(error)!r}"[:200])
            skip(f"made-up runs are refused: {one_line(error)}")
        return f"{counted(len(self._runs), 'run')}"

    def plain_data(self) -> str:
        """JSON without NaN or infinity that reads back as it was written, and names no folder of this machine."""
        content = self._report.as_json(self._result)
        try:
            text = json.dumps(content, allow_nan=False)
        except (TypeError, ValueError) as error:
            fail(f"as_json is no JSON: {one_line(error)}")
        if str(self._folder) in text:
            fail("as_json names a folder of this machine")
        return f"{len(text)} characters"

    def repeats(self) -> str:
        """Measured again, the data are equal."""
        first = self._report.as_json(self._result)
        if json.dumps(first) != json.dumps(self._report.as_json(self._measure())):
            fail("the same runs gave other data")
        return "equal"

    def tables(self) -> str:
        """Every row has a text for each column; columns that are named as kept or as words are there."""
        grids = self._report.tables(self._result)
        for grid in grids:
            _check_grid(grid)
        rows = sum(len(section) for grid in grids for section in grid.sections)
        return f"{counted(len(grids), 'table')} of {counted(rows, 'row')}"

    def files(self) -> str:
        """`write` leaves every file that it names, and no half-written one."""
        folder = self._folder / "written"
        named_files = {Path(path).resolve() for path in self._report.write(self._result, folder)}
        written = {path.resolve() for path in folder.rglob("*") if path.is_file()}
        if lacking := named_files - written:
            fail(f"{min(lacking).name} was named and is not in the folder")
        if temporary := [path.name for path in written if path.name.endswith(".tmp") or path.stat().st_size == 0]:
            fail(f"{min(temporary)} is not a whole file")
        return f"{counted(len(written), 'file')}" if written else "none"

    def untouched(self) -> str:
        """Measuring and writing change no run."""
        self._report.write(self._result, self._folder / "again")
        if _contents(self._folder / "runs") != self._before:
            fail("a run is not what it was before")
        return f"{counted(len(self._before), 'file')} of {counted(len(self._runs), 'run')}"


def _check_grid(grid: Grid) -> None:
    if not isinstance(grid, Grid):
        fail(f"tables gives {type(grid).__name__}, not Grid")
    for section in grid.sections:
        for row in section:
            if len(row) != len(grid.columns):
                fail(f"{grid.title!r}: a row has {len(row)} cells for {len(grid.columns)} columns")
            if odd := [cell for cell in row if not isinstance(cell, str)]:
                fail(f"{grid.title!r}: a cell is {odd[0]!r}, not a text")
            if nan := [cell for cell in row if cell.strip() in ("nan", "inf", "-inf", "None")]:
                fail(f"{grid.title!r}: a cell shows {nan[0]!r}; what is missing has a sign of its own")
    if strays := [i for i in (*grid.kept, *grid.words) if not 0 <= i < len(grid.columns)]:
        fail(f"{grid.title!r}: there is no column {strays[0]}")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

"""The page of compared runs, and the report as it is called."""

from __future__ import annotations

import csv
import io
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prefbench.api import ReportContext
from prefbench.reports.shared.cells import counts, number
from prefbench.reports.table.compare import compare
from prefbench.reports.table.report import Table
from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import HISTORIES, HOSTILE, build

CONTEXT = ReportContext(lambda: HISTORIES)


def write(runs: Sequence[ScoredFolder], folder: Path) -> Path:
    """The page of some runs."""
    table = Table()
    paths = table.write(table.measure(runs, CONTEXT), folder)
    assert all(path.is_file() for path in paths)
    return paths[0]


def test_a_run_reports_its_differences_to_runs_beside_it(runs: list[ScoredFolder], tmp_path: Path) -> None:
    path = write(runs[:1], tmp_path / "report")
    page, rows = path.read_text(), (tmp_path / "report" / "rows.csv").read_text()
    assert "gap-closed" in page
    assert "gap-closed" in rows
    assert "inferred," not in rows.split("\n", 1)[1]


def test_hostile_errors_and_commands_stay_harmless_in_the_report(tmp_path: Path) -> None:
    run = build(tmp_path / "r", "ours", {"ann": 0.1, "bob": 0.2}, error=HOSTILE, command=f"run\n```\n{HOSTILE}")
    page = write([run], tmp_path / "report").read_text()
    fences = [line for line in page.splitlines() if re.fullmatch(r"`{3,}", line)]
    assert fences == ["````", "````"]
    assert "<script>" not in page.replace(next(line for line in page.splitlines() if line.startswith("run ")), "")
    assert "4 of 12 samples failed: 4 × x\\|y &lt;script&gt;" in page


@pytest.mark.slow
def test_the_report_holds_every_number_with_its_n(runs: list[ScoredFolder], tmp_path: Path) -> None:
    path = write(runs, tmp_path / "report")
    page = path.read_text()
    for row in compare(runs).rows:
        if row.summary.value is not None and "/" not in row.summary.metric:
            assert number(row.summary.value) in page
            assert counts(row.summary) in page
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert (path.parent / link).is_file()
    assert "p 0.500" in page
    assert "torch 2.9" in page
    table = list(csv.DictReader(io.StringIO((path.parent / "rows.csv").read_text())))
    assert len(table) == len(compare(runs).rows)
    assert float(table[0]["value"]) == compare(runs).rows[0].summary.value


def test_a_report_opens_each_file_of_scores_three_times_at_most(runs: list[ScoredFolder], tmp_path: Path) -> None:
    """Its header, its digest, its rows."""
    opened: Counter[str] = Counter()
    listening = True

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "open" and "/scores/" in str(arguments[0]):
            opened[Path(arguments[0]).name] += 1

    alone = shutil.copytree(runs[0].path, tmp_path / "alone" / "run")
    sys.addaudithook(count)  # it cannot be taken away again
    table = Table()
    result = table.measure([ScoredFolder.open(alone)], CONTEXT)
    assert [table.tables(result), table.as_json(result), table.write(result, tmp_path / "out")]
    listening = False
    assert set(opened) == {"fid.jsonl", "utility.jsonl"}
    assert max(opened.values()) <= 3, opened

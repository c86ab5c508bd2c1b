"""`prefbench audit`: leaks, copies and slips in run folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prefbench.api import Report, ReportContext
from prefbench.cli.options import as_json, run_folders, suite_of_file


@click.command()
@run_folders
@suite_of_file
@as_json
def audit(runs: tuple[Path, ...], suite: str | None, as_json: bool) -> None:
    """Look for leaks, copies and slips in run folders; exit code 1 where one is found.

    Users, rows, seeds, prompts, training data, images, scores: each is compared with the suite. The first run of a
    suite takes a minute or two for 100,000 pictures, further ones seconds.
    """
    from prefbench.cli.screen import Screen
    from prefbench.registry import load
    from prefbench.run.prepare import suite_of_run
    from prefbench.score.summary import Run

    screen = Screen(quiet=as_json)
    report: Report[Any] = load("report", "audit")(suite=suite)
    opened: list[Any] = [Run.open(path) for path in screen.run_folders(runs)]
    context = ReportContext(suite=lambda: suite_of_run(opened[0].spec, suite), log=screen.line)
    result = report.measure(opened, context)
    screen.grids(report.tables(result))
    if as_json:
        click.echo(json.dumps(report.as_json(result), indent=1))
    raise SystemExit(0 if report.passed(result) else 1)

"""`prefbench compare`: scored runs tested against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prefbench.api import Report, ReportContext
from prefbench.cli.options import as_json, baseline, command_line, names_in, run_folders, suite_of_file
from prefbench.files import write_atomic


@click.command()
@run_folders
@baseline
@click.option("--pairs", type=click.Choice(["baseline", "all"]), default="baseline", show_default=True)
@click.option("--metrics", help="Comma-separated, columns too (utility/silent); default: all that every run has.")
@click.option("--by", help="The metric of ranks and strengths; default: utility, else the first of preference.")
@click.option(
    "--swaps", type=click.IntRange(1), default=499, show_default=True, help="Permutations per set-level metric."
)
@suite_of_file
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the numbers as JSON.")
@as_json
def compare(
    runs: tuple[Path, ...], metrics: str | None, suite: str | None, out: Path | None, as_json: bool, **choices: Any
) -> None:
    """Test scored runs against each other: paired contrasts, effect sizes, ranks, strengths, and what turns them."""
    from prefbench.cli.screen import Screen
    from prefbench.registry import load
    from prefbench.run.prepare import suite_of_run
    from prefbench.score.summary import Run

    screen = Screen(quiet=as_json)
    report: Report[Any] = load("report", "contrasts")(metrics=tuple(names_in(metrics)), **choices)
    scored = [Run.open(path) for path in screen.run_folders(runs)]
    with screen.status("compare"):
        result = report.measure(scored, ReportContext(lambda: suite_of_run(scored[0].spec, suite), command_line()))
    screen.grids(report.tables(result))
    content = report.as_json(result)
    if out is not None:
        write_atomic(out, json.dumps(content, indent=1) + "\n")
        screen.written(out)
    if as_json:
        click.echo(json.dumps(content, indent=1))

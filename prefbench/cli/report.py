"""`prefbench report`: tables, figures and galleries of scored runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prefbench.api import Report, ReportContext, Suite
from prefbench.cli.options import as_json, baseline, run_folders, suite_of_file

if TYPE_CHECKING:
    from prefbench.cli.screen import Screen


@click.command()
@run_folders
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report; default: report/ in the first run.")
@baseline
@click.option("--publish", is_flag=True, help="Write the runs' results into the leaderboard.")
@suite_of_file
@as_json
def report(
    runs: tuple[Path, ...], out: Path | None, baseline: str, publish: bool, suite: str | None, as_json: bool
) -> None:
    """Tables, figures and galleries of one or more scored runs."""
    from prefbench.cli.screen import Screen
    from prefbench.registry import load
    from prefbench.run.prepare import suite_of_run
    from prefbench.score.summary import Run

    screen = Screen(quiet=as_json)
    scored = [Run.open(path) for path in screen.run_folders(runs)]
    context = ReportContext(lambda: suite_of_run(scored[0].spec, suite))
    table: Report[Any] = load("report", "table")(baseline)
    result = table.measure(scored, context)
    screen.grids(table.tables(result))
    screen.line(f"report    {table.write(result, out or scored[0].path / 'report')[0]}")
    if publish:
        leaderboard: Report[Any] = load("report", "leaderboard")()
        leaderboard.publish(leaderboard.measure(scored, context))
        screen.line("leaderboard.md is up to date")
    if as_json:
        click.echo(json.dumps(table.as_json(result), indent=1))


def report_run(screen: Screen, path: Path, suite: Suite) -> None:
    """The run's table, its report and picture, and the next command."""
    from prefbench.registry import load
    from prefbench.score.summary import Run

    table: Report[Any] = load("report", "table")()
    result = table.measure([Run.open(path)], ReportContext(lambda: suite))
    screen.grids(table.tables(result))
    with screen.status("write the report"):
        page = table.write(result, path / "report")[0]
    screen.line(f"report    {page}")
    screen.next(f"prefbench report {path.parent}/*")


def rows_as_json(paths: Sequence[Path]) -> list[Any]:
    """The rows of runs as plain data; of a single run beside the frame in its folder, as its report shows them."""
    from prefbench.registry import load
    from prefbench.run.prepare import suite_of_run
    from prefbench.score.summary import Run

    table: Report[Any] = load("report", "table")()
    scored = [Run.open(path) for path in paths]
    return list(table.as_json(table.measure(scored, ReportContext(lambda: suite_of_run(scored[0].spec)))))

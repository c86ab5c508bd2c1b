"""`prefbench compare`: scored runs tested against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, baseline, command_line, names_in, run_folders, suite_of_file


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
    runs: tuple[Path, ...], pairs: str, metrics: str | None, suite: str | None, out: Path | None, as_json: bool,
    **choices: Any,
) -> None:  # fmt: skip
    """Test scored runs against each other: paired contrasts, effect sizes, ranks, strengths, and what turns them."""
    from prefbench.cli.screen import Screen
    from prefbench.environment import code_state, hardware, versions
    from prefbench.files import write_atomic
    from prefbench.reports.contrasts import measure as contrasts
    from prefbench.reports.contrasts.grids import contrast_grid, standings_grid
    from prefbench.reports.leaderboard.publish import portable
    from prefbench.run.prepare import suite_of_run
    from prefbench.score.summary import Run

    screen = Screen(quiet=as_json)
    choices |= {"all_pairs": pairs == "all", "metrics": names_in(metrics)}
    scored = [Run.open(path) for path in screen.run_folders(runs)]
    with screen.status("compare"):
        measured = contrasts.contrast(scored, lambda: suite_of_run(scored[0].spec, suite), **choices)
    standings = [] if measured.standings is None else [standings_grid(measured, measured.standings)]
    screen.grids([contrast_grid(measured), *standings])
    screen.refused(measured.refused)
    content = {"command": portable(command_line()), **contrasts.as_json(measured), "code": code_state()}
    content |= {"hardware": hardware(), "versions": versions()}
    if out is not None:
        write_atomic(out, json.dumps(content, indent=1) + "\n")
        screen.written(out)
    if as_json:
        click.echo(json.dumps(content, indent=1))

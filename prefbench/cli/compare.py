"""`prefbench compare`: scored runs tested against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, command_line, names_in, print_json
from prefbench.cli.runs import baseline, given, open_runs, run_folders, suite_of_file


@click.command()
@run_folders
@baseline
@click.option("--pairs", type=click.Choice(["baseline", "all"]), default="baseline", show_default=True)
@click.option("--metrics", help="Comma-separated, columns too (utility/silent); default: all that every run has.")
@click.option(
    "--by",
    help="The metric of ranks and strengths; default: utility, else personal-gain, preference.",
)
@click.option(
    "--swaps", type=click.IntRange(1), default=499, show_default=True, help="Permutations per set-level metric."
)
@suite_of_file
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the numbers as JSON.")
@as_json
def compare(runs: tuple[Path, ...], metrics: str | None, out: Path | None, as_json: bool, **choices: Any) -> None:
    """Test scored runs against each other: paired contrasts, effect sizes, ranks, strengths, and what turns them."""
    import prefbench
    from prefbench.cli.screen import Screen
    from prefbench.files import json_text, write_atomic

    screen = Screen(quiet=as_json)
    opened = open_runs(runs, screen)
    with screen.status("compare"):
        result = prefbench.compare(opened, metrics=tuple(names_in(metrics)), command=command_line(), **given(choices))
    screen.grids(result.tables)
    content = json_text(result.as_json())
    if out is not None:
        write_atomic(out, content + "\n")
        screen.written(out)
    if as_json:
        print_json(result.as_json())

"""`prefbench audit`: leaks, copies and slips in run folders."""

from __future__ import annotations

from pathlib import Path

import click

from prefbench.cli.options import as_json, print_json
from prefbench.cli.runs import given, open_runs, run_folders, suite_of_file


@click.command()
@run_folders
@click.option(
    "--fresh", type=click.IntRange(2), metavar="N", help="Draw for N new users of a secret seed too, and compare."
)
@click.option("--method", help="For --fresh, where the method is a file's class.")
@click.option("--backbone", help="For --fresh, where the backbone is a folder.")
@suite_of_file
@as_json
def audit(
    runs: tuple[Path, ...],
    fresh: int | None,
    method: str | None,
    backbone: str | None,
    suite: str | None,
    as_json: bool,
) -> None:
    """Look for leaks, copies and slips in run folders; exit code 1 where one is found.

    Users, rows, seeds, prompts, training data, images, scores: each is compared with the suite. The first run of a
    suite takes a minute or two for 100,000 pictures, further ones seconds.

    With --fresh the run's method draws for new users of the same suite, which takes half as long as the run for half
    as many users. What it does worse for them it had from knowing the others.
    """
    import prefbench
    from prefbench.cli.screen import Screen

    screen = Screen(quiet=as_json)
    opened = open_runs(runs, screen, read="rows")
    options = given({"fresh": fresh, "method": method, "backbone": backbone})
    result = prefbench.report(opened, "audit", suite=suite, log=screen.line, watch=screen, **options)
    screen.grids(result.tables)
    if as_json:
        print_json(result.as_json())
    unread = len(opened) < sum((path / "run.json").exists() for path in runs)
    raise SystemExit(1 if unread or not result.passed else 0)

"""`prefbench score`: run folders to stored scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, every_column, metrics, names_in, print_json
from prefbench.cli.runs import run_folders, suite_of_file


@click.command()
@run_folders
@metrics
@suite_of_file
@every_column
@as_json
def score(runs: tuple[Path, ...], metrics: str | None, suite: str | None, full: bool, as_json: bool) -> None:
    """Score run folders; what is scored already is not repeated. Exit code 2 where one of several could not be."""
    import prefbench
    from prefbench.api import PrefbenchError
    from prefbench.cli.outcome import report_run
    from prefbench.cli.screen import Screen

    screen, names = Screen(quiet=as_json), names_in(metrics)
    rows: list[Any] = []
    code = 0
    for path in runs:
        try:
            scored = prefbench.score(path, names, suite=suite, watch=screen)
            rows += report_run(screen, scored, suite, full=full)
        except PrefbenchError as error:
            if len(runs) == 1:
                raise
            screen.line(f"left out  {path}: {error}")
            code = 2
            continue
        code = max(code, 2 if scored.broken else 1 if names and scored.refused else 0)
    if as_json:
        print_json(rows)
    raise SystemExit(code)

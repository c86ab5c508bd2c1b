"""`prefbench score`: run folders to stored scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prefbench.cli.options import as_json, metrics, names_in, run_folders, suite_of_file

if TYPE_CHECKING:
    from prefbench.api import Suite
    from prefbench.cli.screen import Screen


@click.command()
@run_folders
@metrics
@suite_of_file
@as_json
def score(runs: tuple[Path, ...], metrics: str | None, suite: str | None, as_json: bool) -> None:
    """Score run folders; what is scored already is not repeated."""
    from prefbench.cli.report import rows_as_json
    from prefbench.cli.screen import Screen

    complete = score_and_report(runs, metrics, Screen(quiet=as_json), named=suite)
    if as_json:
        click.echo(json.dumps(rows_as_json(runs), indent=1))
    raise SystemExit(0 if complete else 1)


def score_and_report(
    runs: Sequence[Path], metrics: str | None, screen: Screen, *, suite: Suite | None = None, named: str | None = None
) -> bool:
    """Scores and reports each run; whether every metric that was named could be computed."""
    from prefbench.cli.report import report_run
    from prefbench.run.folder import RunFolder
    from prefbench.run.prepare import check_metrics, suite_of_run
    from prefbench.score.scoring import score_run

    check_metrics(names_in(metrics))
    complete = True
    for path in runs:
        spec = RunFolder(path).read_description()["spec"]
        if suite is None or suite.digest != spec["suite_digest"]:
            suite = suite_of_run(spec, named)
        with screen.status(f"score {path.name}"):
            scoring = score_run(path, names_in(metrics), suite).scoring
        with RunFolder(path).locked():
            report_run(screen, path, suite)
        screen.refused({**scoring.refused, **scoring.idle})
        complete = complete and not (metrics and scoring.refused)
    return complete

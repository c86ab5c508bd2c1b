"""`prefbench score`: run folders, or finished images, to stored scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.engine import cluster_of, engine
from prefbench.cli.options import as_json, every_column, metrics, names_in, print_json
from prefbench.cli.runs import runs_or_none

_path = click.Path(path_type=Path)
_FLAGS = {"suite_parameters": "suite-parameter", "allow_missing": "allow-missing", "dry_run": "dry-run"}


@click.command()
@runs_or_none
@metrics
@click.option("--suite", help="The suite; of run folders only where it is a folder or a file's class.")
@click.option("--images", multiple=True, type=_path, help="Finished images in place of runs: a table, or a folder.")
@click.option("--name", multiple=True, help="The method that drew them, once for each --images.")
@click.option("--card", multiple=True, type=_path, help="Its card.toml; default: the one beside its images.")
@click.option("--split", help="Of the suite; default: test.")
@click.option("--users", type=int, help="Only the first so many users.")
@click.option("--samples", type=click.IntRange(1), help="Images of each case; default: the suite's.")
@click.option("--seed", type=int, help="The run seed of the export; default: 0.")
@click.option("-s", "--suite-parameter", "suite_parameters", multiple=True, metavar="NAME=VALUE")
@click.option("--out", type=_path, help="Where runs of images go; default: runs.")
@click.option("--allow-missing", is_flag=True, help="Go on where images are missing or cannot be read.")
@click.option("--dry-run", is_flag=True, help="Say what is found of the images, and store nothing.")
@click.option("--devices", help="Workers that share the work, of runs: as of `prefbench run`.")
@engine
@every_column
@as_json
def score(
    runs: tuple[Path, ...],
    metrics: str | None,
    suite: str | None,
    devices: str | None,
    full: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score run folders, or images that something else drew; what is scored already is not repeated.

    Exit code 2 where one of several could not be scored, 1 where images are incomplete.
    """
    from prefbench.api import PrefbenchError
    from prefbench.cli.given import ImagesScreen, score_images

    screen, names = ImagesScreen(quiet=as_json), names_in(metrics)
    images, ray = options.pop("images"), cluster_of(options)
    given = {name: value for name, value in options.items() if value not in (None, (), False)}
    if images and runs:
        raise PrefbenchError(f"give runs or --images, not both: {runs[0]} and --images {images[0]}")
    if not images and (option := next(iter(given), None)):
        raise PrefbenchError(f"--{_FLAGS.get(option, option)} is for --images, and none is given")
    if not images and not runs:
        raise click.UsageError("Missing argument 'RUNS...'; or give --images.")
    if devices is not None:
        from prefbench.engines.devices import parse_devices

        parse_devices(devices)
    if images and (devices is not None or ray is not None):
        option = "--devices" if devices is not None else "--engine"
        raise PrefbenchError(f"{option} is for runs: store the images first, then score the run; got {images[0]}")
    if images:
        content, code = score_images(images, names, suite, given, screen, full=full)
    else:
        content, code = _score_runs(runs, names, suite, screen, full=full, workers={"devices": devices, "ray": ray})
    if as_json:
        print_json(content)
    raise SystemExit(code)


def _score_runs(
    runs: tuple[Path, ...], names: list[str], suite: str | None, screen: Any, *, full: bool, workers: dict[str, Any]
) -> tuple[list[Any], int]:
    """The rows of all runs, and the exit code."""
    import prefbench
    from prefbench.api import PrefbenchError
    from prefbench.cli.outcome import report_run

    rows: list[Any] = []
    code = 0
    for path in runs:
        try:
            scored = prefbench.score(path, names, suite=suite, watch=screen, **workers)
            rows += report_run(screen, scored, suite, full=full)
        except PrefbenchError as error:
            if len(runs) == 1:
                raise
            screen.line(f"left out  {path}: {error}")
            code = 2
            continue
        code = max(code, 2 if scored.broken else 1 if names and scored.refused else 0)
    return rows, code

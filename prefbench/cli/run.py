"""`prefbench run`: draw, score, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, command_line, metrics, names_in


@click.command()
@click.option("--method", required=True, help="A registered method, or path/to/file.py:Class.")
@click.option("--suite", default="picturebook", show_default=True)
@click.option("--split", default="test", show_default=True, help="train, scorer, val or test.")
@click.option("--control", help="Wrap the method: other-user, flipped.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the method.")
@click.option("-s", "--suite-parameter", "suite_parameters", multiple=True, metavar="NAME=VALUE")
@click.option("--backbone", help="A registered backbone or a folder; default: the suite's.")
@click.option("--steps", type=click.IntRange(1), help="Solver steps; default: the backbone's.")
@click.option("--guidance", type=float, help="Guidance scale; default: the backbone's.")
@click.option("--device", help="cpu, cuda, mps; default: the best there is.")
@click.option("--dtype", help="float32, float16, bfloat16; default: by device.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--samples", type=click.IntRange(1), help="Samples per case; default: the suite's.")
@click.option("--users", type=int, help="Only the first so many users.")
@click.option("--batch", type=click.IntRange(1), default=100, show_default=True, help="Samples drawn together.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--allow-failures", type=click.FloatRange(0, 1), default=0.0, show_default=True, metavar="SHARE")
@metrics
@click.option("--no-score", is_flag=True, help="Draw only.")
@as_json
def run(allow_failures: float, metrics: str | None, no_score: bool, as_json: bool, **options: Any) -> None:
    """Draw for a split's users, score what was drawn, and report. The same command again continues."""
    from prefbench.cli.report import rows_as_json
    from prefbench.cli.score import score_and_report
    from prefbench.cli.screen import Screen
    from prefbench.run.prepare import (
        Settings,
        check_metrics,
        execute,
        execute_represent,
        prepare,
        wants_representations,
    )

    check_metrics(names_in(metrics))
    screen = Screen(quiet=as_json)
    prepared = prepare(Settings(command=command_line(), **options))
    screen.header(prepared)
    with screen.progress("draw", prepared.n_samples) as advance:
        result = execute(prepared, advance=advance)
    path = prepared.folder.path
    screen.drawn(result, path)
    if result.failed > allow_failures * result.planned:
        screen.failures(path)
        raise SystemExit(1)
    if wants_representations(prepared, names_in(metrics) or prepared.suite.card.metrics):
        with screen.progress("represent", len(prepared.kinds), "user") as advance:
            found = execute_represent(prepared, advance=advance)
        screen.represented(found)
        if len(found.failed) > allow_failures * found.users:
            raise SystemExit(1)
    complete = True
    if no_score:
        screen.next(f"prefbench score {path}")
    else:
        complete = score_and_report([path], metrics, screen, suite=prepared.suite)
    if as_json:
        click.echo(json.dumps([] if no_score else rows_as_json([path]), indent=1))
    raise SystemExit(0 if complete else 1)

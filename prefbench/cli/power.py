"""`prefbench power`: how many users a study needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, baseline, run_folders

_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@run_folders
@click.option("--metric", help="A per-image metric; default: utility, else the first of preference.")
@baseline
@click.option("--effect", "effects", multiple=True, type=click.FloatRange(0, min_open=True), help="May be repeated.")
@click.option("--power", type=_SHARE, default=0.8, show_default=True)
@click.option("--alpha", type=_SHARE, default=0.05, show_default=True)
@click.option("--prompts", type=click.IntRange(1), help="Prompts per user in the study; default: the pilot's.")
@click.option("--samples", type=click.IntRange(1), help="Samples per prompt in the study; default: the pilot's.")
@click.option(
    "--accuracy", type=click.FloatRange(0.5, 1, min_open=True), default=1.0, show_default=True,
    help="How often the metric orders two images as their user does: effects are true ones, of which it shows less.",
)  # fmt: skip
@as_json
def power(
    runs: tuple[Path, ...], effects: tuple[float, ...], power: float, alpha: float, accuracy: float, as_json: bool,
    **choices: Any,
) -> None:  # fmt: skip
    """Users that a study needs, from a pilot: one scored run, or several compared with a baseline."""
    from prefbench.cli.screen import Screen
    from prefbench.reports.power import measure as pilots
    from prefbench.score.summary import Run

    screen = Screen(quiet=as_json)
    question = pilots.Question(effects=effects, power=power, alpha=alpha, accuracy=accuracy)
    plan = pilots.plan([Run.open(path) for path in screen.run_folders(runs)], question, **choices)
    screen.grids([pilots.plan_grid(plan)])
    if as_json:
        click.echo(json.dumps(dict(pilots.as_json(plan)), indent=1))

"""`prefbench power`: how many users a study needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, print_json
from prefbench.cli.runs import baseline, given, open_runs, run_folders

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
def power(runs: tuple[Path, ...], as_json: bool, **choices: Any) -> None:
    """Users that a study needs, from a pilot: one scored run, or several compared with a baseline."""
    import prefbench
    from prefbench.cli.screen import Screen

    screen = Screen(quiet=as_json)
    opened = open_runs(runs, screen)
    result = prefbench.report(opened, "power", **given(choices))
    screen.grids(result.tables)
    if as_json:
        print_json(result.as_json())

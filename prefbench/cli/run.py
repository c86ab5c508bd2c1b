"""`prefbench run`: draw, score, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, command_line, every_column, metrics, names_in, print_json
from prefbench.registry import default


@click.command()
@click.option("--method", required=True, help="A registered method, or path/to/file.py:Class.")
@click.option("--suite", default=default("suite"), show_default=True)
@click.option("--split", default="test", show_default=True, help="train, scorer, val, test or shifted.")
@click.option("--control", help="Wrap the method; `prefbench list controls` names them.")
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
@click.option("--batch", type=click.IntRange(1), help="Samples drawn together, free to change; default: by device.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--allow-failures", type=click.FloatRange(0, 1), default=0.0, show_default=True, metavar="SHARE")
@metrics
@click.option("--no-score", is_flag=True, help="Draw only.")
@every_column
@as_json
def run(method: str, metrics: str | None, no_score: bool, full: bool, as_json: bool, **options: Any) -> None:
    """Draw for a split's users, score what was drawn, and report. The same command again continues."""
    import prefbench
    from prefbench.api import FailedSamplesError
    from prefbench.cli.outcome import report_run, show_drawn
    from prefbench.cli.screen import Screen
    from prefbench.models.devices import check_device, check_dtype

    check_device(options["device"])
    check_dtype(options["dtype"])
    screen, names = Screen(quiet=as_json), names_in(metrics)
    try:
        drawn = prefbench.run(
            method, metrics=names, score=not no_score, watch=screen, command=command_line(), **options
        )
    except FailedSamplesError:  # the screen has shown what failed
        raise SystemExit(1) from None
    if no_score:
        show_drawn(screen, drawn, options["suite"], names)
    rows = [] if no_score else report_run(screen, drawn, options["suite"], full=full)
    if as_json:
        print_json(rows)
    raise SystemExit(2 if drawn.broken else 1 if names and drawn.refused else 0)

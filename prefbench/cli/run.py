"""`prefbench run`: draw, score, report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from prefbench.cli.engine import cluster_of, engine
from prefbench.cli.options import as_json, command_for_method, every_column, metrics, names_in, print_json
from prefbench.registry import default


@click.command()
@click.option(
    "--method", "methods", required=True, multiple=True,
    help="A registered method, or path/to/file.py:Class. Several are run one after the other.",
)  # fmt: skip
@click.option("--suite", default=default("suite"), show_default=True)
@click.option("--split", default="test", show_default=True, help="train, scorer, val, test or shifted.")
@click.option("--control", help="Wrap the method; `prefbench list controls` names them.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the method.")
@click.option("-s", "--suite-parameter", "suite_parameters", multiple=True, metavar="NAME=VALUE")
@click.option("--backbone", help="A registered backbone or a folder; default: the suite's.")
@click.option("--steps", type=click.IntRange(1), help="Solver steps; default: the backbone's.")
@click.option("--guidance", type=float, help="Guidance scale; default: the backbone's.")
@click.option("--device", help="cpu, cuda, mps; default: the best there is.")
@click.option("--devices", help="One worker on each: 8 (accelerators), all, cuda:0,cuda:2 or cpu:2 (two processes).")
@click.option("--shard", metavar="K/N", help="Draw the k-th of n fixed parts, as one of several jobs that share --out.")
@engine
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
def run(
    methods: tuple[str, ...], metrics: str | None, no_score: bool, full: bool, as_json: bool, **options: Any
) -> None:
    """Draw for a split's users, score what was drawn, and report. The same command again continues."""
    from prefbench.models.devices import check_device, check_dtype

    options["ray"] = cluster_of(options)
    if options["devices"] is not None:
        from prefbench.engines.devices import check_devices

        check_devices(options["devices"], options["device"])
    if options["shard"] is not None:
        from prefbench.engines.shards import Shard

        Shard.parse(options["shard"])
    check_device(options["device"])
    check_dtype(options["dtype"])
    if len(methods) > 1 and options["parameters"]:
        raise click.UsageError(
            f"-p {options['parameters'][0]} is a parameter of one method, and {len(methods)} are named"
        )
    rows, codes = [], []
    for place, method in enumerate(methods):
        asked = _Asked(method, command_for_method(place), names_in(metrics), not no_score, full, as_json)
        of_run, code = _run(asked, options)
        rows += of_run
        codes.append(code)
    if as_json:
        print_json(rows)
    raise SystemExit(max(codes))


class _Asked(NamedTuple):
    """One run, and what is shown of it."""

    method: str
    command: str
    metrics: list[str]
    score: bool
    full: bool
    quiet: bool


def _run(asked: _Asked, options: Mapping[str, Any]) -> tuple[list[Any], int]:
    """Draws, scores and shows; the rows of the result, and the exit code."""
    import prefbench
    from prefbench.api import FailedSamplesError
    from prefbench.cli.outcome import report_run, show_drawn, show_part
    from prefbench.cli.screen import Screen

    screen = Screen(quiet=asked.quiet)
    try:
        drawn = prefbench.run(
            asked.method, metrics=asked.metrics, score=asked.score, watch=screen, command=asked.command, **options
        )
    except FailedSamplesError:  # the screen has shown what failed
        raise SystemExit(1) from None
    if drawn.is_partial:
        show_part(screen, drawn, options["shard"], asked.command)
    elif not asked.score:
        show_drawn(screen, drawn, options["suite"], asked.metrics)
    scored = asked.score and not drawn.is_partial
    rows = report_run(screen, drawn, options["suite"], full=asked.full) if scored else []
    return list(rows), 2 if drawn.broken else 1 if asked.metrics and drawn.refused else 0

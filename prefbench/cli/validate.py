"""`prefbench validate`: the metrics against a known truth."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prefbench.api import PrefbenchError
from prefbench.cli.options import as_json, command_line, names_in


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--suite", default="picturebook", show_default=True, help="One that knows the truth.")
@click.option("--metrics", help="Comma-separated, utility among them; default: all that are registered.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/validation"), show_default=True)
@click.option("--publish", is_flag=True, help="Write the report into results/validation too.")
@as_json
def validate(runs: tuple[Path, ...], suite: str, metrics: str | None, out: Path, publish: bool, as_json: bool) -> None:
    """Measure the metrics against a known truth: systems that personalise so much, nuisances, identical methods.

    RUNS are scored runs of the suite whose true ranking the metrics must find. The same command again continues.
    """
    from prefbench.cli.screen import Screen
    from prefbench.registry import names
    from prefbench.reports.shared.labels import check_mix, label_runs
    from prefbench.reports.validation import page
    from prefbench.reports.validation.study import validate as measure
    from prefbench.reports.validation.tables import required_grid
    from prefbench.run.prepare import check_metrics, load_suite
    from prefbench.score.summary import Run

    screen = Screen(quiet=as_json)
    check_metrics(names_in(metrics))
    loaded, _ = load_suite(suite)
    scored = [Run.open(path) for path in screen.run_folders(runs)]
    if scored:
        check_mix(scored)
        if scored[0].spec["suite_digest"] != loaded.digest:
            raise PrefbenchError(f"{scored[0].folder.path} was drawn for another suite than {suite}")
    labelled = dict(zip(label_runs(scored), scored, strict=True))
    wanted = names_in(metrics) or names("metric")
    result = {"command": command_line(), **measure(loaded, out, wanted, runs=labelled, log=screen.line)}
    screen.grids([required_grid(result)])
    for path in [*page.write(result, out), *(page.publish(result) if publish else [])]:
        screen.written(path)
    if as_json:
        click.echo(json.dumps(result, indent=1))

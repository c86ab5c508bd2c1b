"""`prefbench validate`: the metrics against a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, command_line, print_json
from prefbench.cli.runs import given, open_runs


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--suite", help="One that knows the truth; default: the report's.")
@click.option("--metrics", help="Comma-separated, utility among them; default: all that are registered.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/validation"), show_default=True)
@click.option("--worlds", is_flag=True, help="Compare the rankings of runs drawn under several -s or --split instead.")
@click.option("--publish", is_flag=True, help="Write the report into results/validation (worlds: results/worlds) too.")
@as_json
def validate(runs: tuple[Path, ...], out: Path, worlds: bool, publish: bool, as_json: bool, **choices: Any) -> None:
    """Measure the metrics against a known truth: systems that personalise so much, nuisances, identical methods.

    RUNS are scored runs of the suite whose true ranking the metrics must find. The same command again continues.

    With --worlds RUNS are the same methods in several worlds, which are suites of other parameters and other splits:
    whether the true ranking holds between them, and which metric finds it where.
    """
    if worlds and given(choices):
        raise click.UsageError("--worlds reads what the runs hold: it takes no --suite and no --metrics")
    import prefbench
    from prefbench.cli.screen import Screen

    screen = Screen(quiet=as_json)
    opened = open_runs(runs, screen)
    context: dict[str, Any] = {"work": out, "command": command_line(), "log": screen.line}
    result = prefbench.report(opened, "worlds" if worlds else "validation", **context, **given(choices))
    screen.grids(result.tables)
    for path in [*result.write(out), *(result.publish() if publish else [])]:
        screen.written(path)
    if as_json:
        print_json(result.as_json())

"""`prefbench report`: tables, figures and pages of scored runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, command_line, every_column, print_json
from prefbench.cli.runs import baseline, given, open_runs, results, run_folders, suite_of_file

_TABLE = "table"


@click.command()
@run_folders
@click.option("--name", "--for", "name", default=_TABLE, show_default=True, help="`prefbench list reports` names them.")
@click.option("--format", "form", help="Hand the runs to another tool: wandb, mlflow, hub, inspect or lmms; as --name.")
@click.option("-p", "--option", "texts", multiple=True, metavar="NAME=VALUE", help="An option of the report.")
@click.option(
    "--metrics", help="Of a report with this option: comma-separated columns, such as those of a paper's tables."
)
@click.option("--width", help="Of a report with this option: column or text, which a paper's tables and figures fit.")
@click.option("--label", help="Of a report with this option: the label of a paper's main table.")
@click.option("--users", help="Of a report with this option: comma-separated users whose pictures are shown.")
@baseline
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the report; default: report/ in the first run, of a paper report/paper/.",
)
@every_column
@click.option("--publish", is_flag=True, help="Commit what the report publishes; of a table, to the leaderboard.")
@results
@suite_of_file
@as_json
def report(
    runs: tuple[Path, ...], name: str, form: str | None, texts: tuple[str, ...], baseline: str | None, full: bool,
    out: Path | None, metrics: str | None, width: str | None, label: str | None, users: str | None,
    publish: bool, results: Path | None, suite: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Tables, figures and galleries of one or more scored runs; or any other report of runs."""
    import prefbench
    from prefbench.cli.screen import Screen
    from prefbench.parameters import bind, parse_pairs
    from prefbench.registry import load

    if results is not None and not publish:
        raise click.UsageError("--results is where --publish writes: give both, or --out for the report alone")
    if form is not None and name != _TABLE:
        raise click.UsageError("--format names a report as --name does: give one of them")
    name = form or name
    screen = Screen(quiet=as_json)
    named = given({"metrics": metrics, "width": width, "label": label, "users": users})
    pairs = parse_pairs([*texts, *(f"{option}={text}" for option, text in named.items())])
    options = bind(load("report", name), pairs) | given({"baseline": baseline, "full": full or None})
    of_report = options.pop("suite", None)
    opened = open_runs(runs, screen, read="summary" if name in (_TABLE, "paper") else "rows")
    context: dict[str, Any] = {"suite": suite or of_report, "command": command_line(), "log": screen.line}
    context["watch"] = screen
    result = prefbench.report(opened, name, **context, **options)
    screen.grids(result.tables)
    files = result.write(out or opened[0].path / result.report.card.folder)
    if files:
        screen.report(files)
    else:
        screen.line(f"the report {name} writes no files")
    if publish:
        publisher = result.report.card.publisher
        published = prefbench.report(opened, publisher, **context) if publisher else result
        for path in published.publish(results):
            screen.written(path)
    if as_json:
        print_json(result.as_json())
    raise SystemExit(0 if result.passed else 1)

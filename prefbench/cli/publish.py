"""`prefbench publish`: committed pages from committed data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.api import Report
from prefbench.cli.runs import results


@click.command()
@click.argument("reports", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where a page does not follow from its data.")
@results
def publish(reports: tuple[str, ...], check: bool, results: Path | None) -> None:
    """Write the committed pages of REPORTS, or of all that are published, again from their committed data."""
    from prefbench.cli.screen import Screen
    from prefbench.registry import load, names

    screen, outdated = Screen(), False
    for name in reports or [name for name in names("report") if load("report", name).card.published]:
        report: Report[Any] = load("report", name)()
        for page in report.stale(results) if check else ():
            outdated = True
            screen.line(f"{page} is not up to date: prefbench publish {name}")
        for path in () if check else report.rebuild(results):
            screen.written(path)
    raise SystemExit(1 if outdated else 0)

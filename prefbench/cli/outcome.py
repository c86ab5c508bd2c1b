"""The end of `run` and `score`: the table of one scored run, and its report."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

import prefbench
from prefbench.api import counted
from prefbench.calls import Run
from prefbench.cli.runs import next_report, of_suite
from prefbench.cli.screen import Screen


def show_drawn(screen: Screen, run: Run, suite: str | None, metrics: Sequence[str]) -> None:
    """The end of a run that is not scored: what somebody should look at, and the command that comes next."""
    for line in run.scored.drawn().lines:
        screen.line(line)
    named = f" --metrics {quote(','.join(metrics))}" if metrics else ""
    screen.next(f"prefbench score {quote(str(run.path))}{of_suite(run, suite)}{named}")


def show_part(screen: Screen, run: Run, shard: str, command: str) -> None:
    """The end of a shard while others are not through: what is there, and the command for when they are."""
    there = f"others have still {counted(run.lacking, 'sample')} to draw" if run.lacking else "others are just ending"
    screen.line(f"shard {shard} is drawn, and {there}; scoring waits for all")
    screen.next(command)


def report_run(screen: Screen, run: Run, suite: str | None = None, *, full: bool = False) -> list[Any]:
    """Shows the table of one scored run, writes its report into its folder, and returns the rows as plain data.

    `full` shows every column, not the headline metrics alone.
    """
    with run.scored.folder.locked():
        result = prefbench.report([run], suite=suite, full=full)
        screen.grids(result.tables)
        with screen.status("write the report"):
            files = result.write(run.path / "report")
    screen.report(files)
    screen.next(next_report(run, suite))
    return list(result.as_json())

"""The end of `run` and `score`: the table of one scored run, and its report."""

from __future__ import annotations

from typing import Any

import prefbench
from prefbench.calls import Run
from prefbench.cli.screen import Screen


def show_drawn(screen: Screen, run: Run) -> None:
    """The end of a run that is not scored: what somebody should look at, and the command that comes next."""
    for line in run.scored.drawn().lines:
        screen.line(line)
    screen.next(f"prefbench score {run.path}")


def report_run(screen: Screen, run: Run, suite: str | None = None) -> list[Any]:
    """Shows the table of one scored run, writes its report into its folder, and returns the rows as plain data."""
    with run.scored.folder.locked():
        result = prefbench.report([run], suite=suite)
        screen.grids(result.tables)
        with screen.status("write the report"):
            page = result.write(run.path / "report")[0]
    screen.line(f"report    {page}")
    screen.next(f"prefbench report {run.path.parent}/*")
    return list(result.as_json())

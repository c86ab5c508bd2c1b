"""What `prefbench compare` and `prefbench power` show of runs, and give back as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.display import Screen
from prefbench.environment import code_state, hardware, versions
from prefbench.execution import suite_of_run
from prefbench.paths import write_atomic
from prefbench.reports import contrasts, pilots
from prefbench.reports.contrast_table import contrast_grid, standings_grid
from prefbench.reports.leaderboard import portable
from prefbench.summary import Run


def compare(
    screen: Screen, paths: Sequence[Path], out: Path | None, *, named: str | None, command: str, **choices: Any
) -> dict[str, Any]:
    """Contrasts of runs and where they stand, with what they were made by; written to `out` where that is given.

    `named` is what the user gave as the suite; `choices` are those of `contrasts.contrast`.
    """
    runs = [Run.open(path) for path in screen.run_folders(paths)]
    with screen.status("compare"):
        found = contrasts.contrast(runs, lambda: suite_of_run(runs[0].spec, named), **choices)
    standings = [] if found.standings is None else [standings_grid(found, found.standings)]
    screen.grids([contrast_grid(found), *standings])
    screen.refused(found.refused)
    content = {"command": portable(command), **contrasts.as_json(found), "code": code_state()}
    content |= {"hardware": hardware(), "versions": versions()}
    if out is not None:
        write_atomic(out, json.dumps(content, indent=1) + "\n")
        screen.written(out)
    return content


def power(screen: Screen, paths: Sequence[Path], question: Mapping[str, Any], **choices: Any) -> dict[str, Any]:
    """What runs as pilots promise of a larger study; `choices` are those of `pilots.plan`."""
    found = pilots.plan([Run.open(path) for path in screen.run_folders(paths)], pilots.Question(**question), **choices)
    screen.grids([pilots.plan_grid(found)])
    return dict(pilots.as_json(found))

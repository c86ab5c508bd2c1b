"""`prefbench report`: tables, figures and galleries of scored runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prefbench.api import PrefbenchError, Suite
from prefbench.cli.options import as_json, baseline, run_folders, suite_of_file

if TYPE_CHECKING:
    from prefbench.cli.screen import Screen
    from prefbench.score.summary import Run

logger = logging.getLogger(__name__)
_SHARED = (
    "suite_digest", "split", "seed", "backbone_digest", "users", "samples_per_case", "steps", "guidance", "dtype",
)  # fmt: skip
"""What a run must share with the frame that it is shown beside."""


@click.command()
@run_folders
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report; default: report/ in the first run.")
@baseline
@click.option("--publish", is_flag=True, help="Write the runs' results into the leaderboard.")
@suite_of_file
@as_json
def report(
    runs: tuple[Path, ...], out: Path | None, baseline: str, publish: bool, suite: str | None, as_json: bool
) -> None:
    """Tables, figures and galleries of one or more scored runs."""
    from prefbench.cli.screen import Screen

    folders = _report_runs(Screen(quiet=as_json), runs, out, publish=publish, named=suite, baseline=baseline)
    if as_json:
        click.echo(json.dumps(rows_as_json(folders, baseline=baseline), indent=1))


def _report_runs(
    screen: Screen, paths: Sequence[Path], out: Path | None, *, publish: bool, named: str | None, baseline: str
) -> list[Path]:
    """Tables of several runs, the report, and where asked the leaderboard; returns the run folders among `paths`."""
    from prefbench.reports.leaderboard import publish as leaderboard
    from prefbench.reports.table.compare import compare
    from prefbench.reports.table.grids import difference_grid, run_grid, runs_grid
    from prefbench.reports.table.page import write_report
    from prefbench.run.prepare import suite_of_run
    from prefbench.score.summary import Run

    folders = screen.run_folders(paths)
    runs = [Run.open(path) for path in folders]
    comparison = compare(runs, baseline=baseline)
    if len(runs) == 1:
        screen.grids([run_grid(comparison, next(iter(comparison.runs)))])
    else:
        compared = any(row.difference for row in comparison.rows)
        screen.grids([runs_grid(comparison), *([difference_grid(comparison)] if compared else [])])
    suite = suite_of_run(runs[0].spec, named)
    page = write_report(runs, out or runs[0].folder.path / "report", history=suite.history, baseline=baseline)
    screen.line(f"report    {page}")
    if publish:
        leaderboard.publish(runs)
        screen.line("leaderboard.md is up to date")
    return folders


def report_run(screen: Screen, path: Path, suite: Suite) -> None:
    """The run's table, its report and picture, and the next command."""
    from prefbench.reports.table.compare import compare
    from prefbench.reports.table.grids import run_grid
    from prefbench.reports.table.page import write_report

    run, *frame = framed(path)
    comparison = compare([run, *frame]).of_first(1)
    screen.grids([run_grid(comparison, next(iter(comparison.runs)))])
    with screen.status("write the report"):
        page = write_report([run], path / "report", history=suite.history, beside=frame)
    screen.line(f"report    {page}")
    screen.next(f"prefbench report {path.parent}/*")


def framed(path: Path) -> list[Run]:
    """A run, then the scored `prompt-only` and `inferred` runs beside it that it can be compared with."""
    from prefbench.score.summary import Run

    mine, frame = Run.open(path), dict[str, Run]()
    for other in sorted(path.parent.iterdir()):
        if other == path or not (other / "summary.json").is_file():
            continue
        try:
            run = Run.open(other)
            same = all(run.spec[name] == mine.spec[name] for name in _SHARED) and _scored_alike(run, mine)
        except (PrefbenchError, KeyError) as error:
            logger.warning("%s is left out: %s", other, error)
            continue
        if same and run.control is None and not run.undrawn and run.spec["method"] in ("prompt-only", "inferred"):
            frame[run.spec["method"]] = run
    frame.pop(mine.spec["method"] if mine.control is None else "", None)
    return [mine, *frame.values()]


def _scored_alike(run: Run, mine: Run) -> bool:
    """Whether they share metrics, all by one recipe each. One may have more: metrics of what only some methods have."""
    own, other = mine.recipes(), run.recipes()
    shared = own.keys() & other.keys()
    return bool(shared) and all(own[name] == other[name] for name in shared)


def rows_as_json(paths: Sequence[Path], *, baseline: str = "prompt-only") -> list[dict[str, Any]]:
    """The rows of runs as plain data; of a single run beside the frame in its folder, as its report shows them."""
    from prefbench.reports.table.compare import as_json, compare
    from prefbench.score.summary import Run

    runs = framed(paths[0]) if len(paths) == 1 else [Run.open(path) for path in paths]
    return list(as_json(compare(runs, baseline=baseline).of_first(len(paths)).rows))

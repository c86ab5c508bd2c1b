"""Options of the verbs that read run folders, and how they open the paths that `runs/*` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from prefbench.calls import Run
    from prefbench.cli.screen import Screen

run_folders = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
suite_of_file = click.option(
    "--suite", help="The suite, where it is a file's class: a run folder alone never makes prefbench load code."
)
baseline = click.option("--baseline", help="The method that differences are to; default: the report's.")


def given(choices: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; the others stay at the defaults of what they are handed to."""
    return {name: value for name, value in choices.items() if value is not None}


def open_runs(paths: Sequence[Path], screen: Screen) -> list[Run]:
    """The run folders among several paths, as `runs/*` gives them; the others are named on the screen."""
    import prefbench

    folders = [path for path in paths if (path / "run.json").is_file()]
    if len(paths) == 1 or not folders:
        folders = list(paths)
    for path in [path for path in paths if path not in folders]:
        screen.line(f"left out  {path}: not a run folder")
    return [prefbench.load(path) for path in folders]

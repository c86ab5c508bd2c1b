"""Options of the verbs that read run folders, and how they open the paths that `runs/*` gives."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

import click

from prefbench.api import counted
from prefbench.api.runs import is_given

if TYPE_CHECKING:
    from prefbench.calls import Run
    from prefbench.cli.screen import Screen

run_folders = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
runs_or_none = click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
suite_of_file = click.option(
    "--suite", help="The suite, where it is a file's class: a run folder alone never makes prefbench load code."
)
baseline = click.option("--baseline", help="The method that differences are to; default: the report's.")

results = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the published results, leaderboard.md beside it; default: results/ of the clone.",
)

_OF_ONE_TABLE = ("suite_digest", "split", "seed", "backbone_digest")


def given(choices: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; the others stay at the defaults of what they are handed to."""
    return {name: value for name, value in choices.items() if value is not None}


Read = Literal["rows", "scores", "summary"]
"""What must be readable of a run: its samples; its scores too; and the summary of them."""


def open_runs(paths: Sequence[Path], screen: Screen, *, read: Read = "scores") -> list[Run]:
    """The runs among several paths, as `runs/*` gives them; each other path is named on the screen with the reason.

    Args:
        paths: one of them alone must be a run.
        read: what must be readable of each of several.

    Raises:
        PrefbenchError: the only path is no run that can be read, or none of several is; no paths are no runs.
    """
    import prefbench
    from prefbench.api import PrefbenchError

    # The rows of a large run are a million objects that stay: looking them over for cycles takes a third of the time.
    gc.set_threshold(100_000, 50, 100)
    if len(paths) == 1:
        return [prefbench.load(paths[0])]
    opened, reasons = [], {}
    for path in paths:
        try:
            run = prefbench.load(path)
            if read != "rows":
                run.scored.check(summary=read == "summary")
            opened.append(run)
        except PrefbenchError as error:
            reasons[path] = str(error)
    if paths and not opened:
        raise PrefbenchError(f"none of {counted(len(paths), 'folder')} can be used: {next(iter(reasons.values()))}")
    for path, reason in reasons.items():
        screen.line(f"left out  {reason}" if reason.startswith(str(path)) else f"left out  {path}: {reason}")
    return opened


def next_report(run: Run, suite: str | None) -> str:
    """The command that shows a run beside its neighbours: all of the folder where all belong together, else by name.

    Args:
        suite: as the user named it; a suite that is a file must be named again.
    """
    from prefbench.api import PrefbenchError
    from prefbench.run.folder import RunFolder

    folders = [path for path in sorted(run.path.parent.iterdir()) if (path / "run.json").exists()]
    together = []
    for path in folders:
        with suppress(PrefbenchError):
            spec = RunFolder(path).read_description()["spec"]
            # Given images stand beside runs of any backbone.
            telling = _OF_ONE_TABLE[:-1] if is_given(spec) or is_given(run.spec) else _OF_ONE_TABLE
            together += [path] if all(spec[name] == run.spec[name] for name in telling) else []
    together = together or [run.path]
    whole = together == folders
    named = f"{quote(str(run.path.parent))}/*" if whole else " ".join(quote(str(path)) for path in together)
    return f"prefbench report {named}{of_suite(run, suite)}"


def of_suite(run: Run, suite: str | None) -> str:
    """The option that names the suite again, where it is a file's class or a folder."""
    recorded = str(run.spec["suite"])
    return f" --suite {quote(suite)}" if suite is not None and (":" in recorded or recorded.endswith("/")) else ""

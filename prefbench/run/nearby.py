"""What was meant by a path that is no run folder: runs one level down, or a run of nearly that name beside it."""

from __future__ import annotations

import difflib
from contextlib import suppress
from pathlib import Path


def no_run(path: Path) -> str:
    """The line for a path that is no run folder."""
    message = f"{path} is not a run folder: it has no run.json"
    if below := _runs_in(path):
        runs = "one run" if len(below) == 1 else f"{len(below)} runs"
        return f"{message}, but {runs} below it; did you mean {path}/* or {below[0]}?"
    beside = {one.name.lower(): one for one in _runs_in(path.parent)}
    near = difflib.get_close_matches(path.name.lower(), beside, n=1)
    return f"{message}; did you mean {beside[near[0]]}?" if near else message


def _runs_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(child for child in folder.iterdir() if (child / "run.json").is_file())
    return []

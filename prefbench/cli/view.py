"""`prefbench view`: runs as a page in the browser, also while they are being drawn."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prefbench.cli.runs import baseline, given, run_folders, suite_of_file

if TYPE_CHECKING:
    from prefbench.calls import Run
    from prefbench.cli.server import Versions

_EVERY = 2.0
"""Seconds between two looks at the folders."""
_REST = 3.0
"""How many times as long as a page took to write it stands at least, so that drawing goes on beside it."""
_KEPT = 3
"""Versions of the page that are kept: a browser may still load an older one."""


@click.command()
@run_folders
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.option("--browser/--no-browser", default=False, help="Open the page in the usual browser.")
@baseline
@suite_of_file
def view(runs: tuple[Path, ...], port: int, browser: bool, baseline: str | None, suite: str | None) -> None:
    """Show runs in the browser: users, pictures side by side, numbers, audits; it follows runs that go on.

    RUNS are run folders, or folders that hold some. The page is served to this machine alone, until Ctrl-C.
    """
    from prefbench.api import PrefbenchError
    from prefbench.cli.screen import Screen
    from prefbench.cli.server import Versions
    from prefbench.registry import load

    screen = Screen()
    if absent := [path for path in runs if not path.is_dir()]:
        raise PrefbenchError(f"{absent[0]} is no folder: give run folders, or a folder that holds some")
    report = load("report", "page")(live=True, **given({"baseline": baseline, "suite": suite}))
    with tempfile.TemporaryDirectory(prefix="prefbench-view-") as root:
        versions = Versions(Path(root))
        for name in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            signal.signal(name, signal.default_int_handler)  # a closed terminal ends it as Ctrl-C does
        with suppress(KeyboardInterrupt):  # how it is meant to end
            _follow(runs, report, versions, suite, screen, port, browser)


def _follow(
    runs: Sequence[Path], report: Any, versions: Versions, suite: str | None, screen: Any, port: int, browser: bool
) -> None:
    from prefbench.api import PrefbenchError
    from prefbench.api.guard import reason

    written, told = None, ""
    with _served(versions, port, screen) as address:
        screen.line(f"serving   {address}  (Ctrl-C ends)")
        while True:
            seen, started = _state(runs), time.monotonic()
            if seen == written:
                time.sleep(_EVERY)
                continue
            try:
                _write(_opened(runs), report, versions, suite, screen)
            except Exception as error:  # a folder that is damaged, or in the middle of a change: looked at again
                if isinstance(error, PrefbenchError) and not versions.newest and not _may_come(runs):
                    raise
                line = f"waiting   {error if isinstance(error, PrefbenchError) else reason(error)}"
                if line != told:
                    screen.line(line)
                told = line
            else:
                written, told = seen, ""
                screen.line(f"page      version {versions.newest}")
                if versions.newest == 1 and browser:
                    webbrowser.open(address)
            time.sleep(_EVERY + min(60.0, _REST * (time.monotonic() - started)))


def _write(runs: Sequence[Run], report: Any, versions: Versions, suite: str | None, screen: Any) -> None:
    """Writes the next version of the page, and forgets the oldest."""
    from prefbench.api import ReportContext
    from prefbench.calls import suite_of

    context = ReportContext(lambda: suite_of(runs, suite), log=screen.line)
    number = versions.newest + 1
    report.write(report.measure([run.scored for run in runs], context), versions.folder(number))
    versions.newest = number
    shutil.rmtree(versions.folder(number - _KEPT), ignore_errors=True)


@contextmanager
def _served(versions: Versions, port: int, screen: Any) -> Iterator[str]:
    """Serves the versions in a thread; yields the address."""
    import logging

    from prefbench.api import PrefbenchError
    from prefbench.cli.server import HOST, make_server

    try:
        server = make_server(versions, port, logging.getLogger(__name__).debug)
    except OSError as error:
        raise PrefbenchError(
            f"cannot serve on port {port}: {error.strerror}; leave out --port for a free one"
        ) from None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        screen.line("ended")


def _folders(runs: Sequence[Path]) -> list[Path]:
    """The run folders among some paths, and those in the others."""
    folders = []
    for path in runs:
        with suppress(OSError):  # it vanished
            below = [path] if (path / "run.json").exists() else sorted(path.iterdir())
            folders += [one for one in below if (one / "run.json").is_file()]
    return folders


def _opened(runs: Sequence[Path]) -> list[Run]:
    """The runs that hold a sample. Raises `PrefbenchError`, with the reason of the first, where none does."""
    import prefbench
    from prefbench.api import PrefbenchError

    opened, reasons = [], []
    for path in _folders(runs):
        try:
            opened.append(prefbench.load(path))
        except PrefbenchError as error:
            reasons.append(str(error))
    if not opened:
        raise PrefbenchError(reasons[0] if reasons else f"{runs[0]} holds no run yet")
    return opened


def _may_come(runs: Sequence[Path]) -> bool:
    """Whether a run that is described, or the folder for runs, may still get its first picture."""
    folders = _folders(runs)
    return not folders or not any((path / "samples").is_dir() and any((path / "samples").iterdir()) for path in folders)


def _state(runs: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of everything that a page is made from."""
    patterns = ("run.json", "summary.json", "audit.json", "samples/*.jsonl", "scores/*.jsonl", "profiles*.jsonl")
    files = [file for path in _folders(runs) for pattern in patterns for file in sorted(path.glob(pattern))]
    seen = []
    for file in files:
        with suppress(OSError):  # it vanished, or is a link to nothing
            seen.append((str(file), file.stat().st_size, file.stat().st_mtime_ns))
    return tuple(seen)

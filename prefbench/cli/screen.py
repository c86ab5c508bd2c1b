"""The one module that shows things: header, progress, tables, next command. Plain lines when not on a terminal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from prefbench.api import printable
from prefbench.api.grids import counted
from prefbench.run.watch import ShownRun, Watch

if TYPE_CHECKING:
    from prefbench.run.draw import RunResult
    from prefbench.run.states import CollectedStates

_FAILURES_SHOWN = 5


class Screen(Watch):
    """The output of a verb while it works. `quiet` keeps standard output free for JSON: all goes to standard error."""

    def __init__(self, *, quiet: bool = False) -> None:
        # Paths and commands are copied: the terminal may wrap them, a line break in them would not be theirs.
        self._out = Console(stderr=quiet, highlight=False, soft_wrap=True)

    def header(self, run: ShownRun) -> None:
        """Method, suite, users and samples, backbone, folder."""
        spec = run.spec
        control = f" under the control {spec.control}" if spec.control else ""
        drawn_for = f"{counted(len(run.kinds), 'user')}, {counted(run.n_samples, 'sample')}"
        lines = [
            f"method    {run.shown}{control}",
            f"suite     {spec.suite}, split {spec.split}: {drawn_for}",
            f"backbone  {spec.backbone} on {run.backbone.device}, {spec.dtype}, {run.backbone.card.settings}",
            f"folder    {run.folder.path}",
        ]
        if measured := run.suite.inventory().get("extractors"):
            lines.append(f"measured  {measured}")
        text = Text("\n".join(map(printable, lines)))
        if self._out.is_terminal:
            self._out.print(Panel(text, expand=False), soft_wrap=False)
        else:
            self._out.print(text)

    @contextmanager
    def progress(self, stage: str, total: int, unit: str = "img") -> Iterator[Callable[[int], Any]]:
        """One bar for a stage with rate and time left; on no terminal a plain line at its end."""
        from tqdm import tqdm

        bar = tqdm(total=total, desc=printable(stage), unit=unit, miniters=1, disable=not sys.stderr.isatty())
        try:
            yield bar.update
        finally:
            bar.close()

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """A short wait."""
        if self._out.is_terminal:
            with self._out.status(Text(printable(text))):
                yield
        else:
            self.line(text)
            yield

    def drawn(self, result: RunResult, path: Path) -> None:
        """The counts of samples drawn now, stored before, and failed."""
        rate = f", {result.drawn / result.seconds:.1f} a second" if result.drawn and result.seconds > 0 else ""
        others = _others(result.planned - result.drawn, result.failed)
        self.line(f"drew {result.drawn} of {counted(result.planned, 'sample')}{rate}{others}: {path}")

    def represented(self, result: CollectedStates) -> None:
        """The counts of users represented now, stored before, and failed."""
        others = _others(result.users - result.collected - len(result.failed), len(result.failed))
        users = counted(result.users, "user")
        self.line(f"represented {result.collected} of {users} in {result.seconds:.1f} s{others}")
        for error, count in Counter(result.failed.values()).most_common(_FAILURES_SHOWN):
            self.line(f"  {count} x {error}")

    def failures(self, path: Path) -> None:
        """The most frequent errors of a run, and how to go on."""
        from prefbench.run.draw import failures
        from prefbench.run.folder import RunFolder

        for reason, count in failures(RunFolder(path).samples()).most_common(_FAILURES_SHOWN):
            self.line(f"  {count} x {reason}")
        self.line("The same command tries them again; --allow-failures SHARE goes on without them.")

    def refused(self, reasons: Mapping[str, str]) -> None:
        """Metrics that a run offers too little for."""
        for name, reason in reasons.items():
            self.line(f"no {name}: {reason}")

    def line(self, text: str) -> None:
        """One line, such as what begins now."""
        self._out.print(Text(printable(text)))

    def report(self, files: Sequence[Path]) -> None:
        """Where a report lies: its first file, and the page to browse."""
        self.line(f"report    {files[0]}")
        for page in [path for path in files[1:] if path.suffix == ".html"]:
            self.line(f"to browse {page}")

    def written(self, path: Path) -> None:
        """A file that now holds what was asked for."""
        self.line(f"written   {path}")

    def next(self, command: str) -> None:
        """The command that comes next."""
        self.line(f"next      {command}")

    def grids(self, grids: Sequence[Any]) -> None:
        """Tables of runs."""
        from prefbench.cli.grids import show as show_grids

        show_grids(grids, stream=self._out.file)


def _others(before: int, failed: int) -> str:
    """How many were there before, and how many failed, as the end of a line."""
    there = f", {before} were there already" if before else ""
    return there + (f", {failed} failed" if failed else "")

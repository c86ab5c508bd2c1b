"""What a report is: scored runs to a result of plain data, and the tables, figures and page that show it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from prefbench.api.grids import Grid
from prefbench.api.runs import ScoredRun
from prefbench.api.suites import Suite

R = TypeVar("R")


@dataclass(frozen=True)
class ReportCard:
    """What a report shows and what it needs."""

    name: str
    version: str
    summary: str
    takes: Literal["run", "runs", "two runs", "runs or none", "none"]
    """How many scored runs it is made from: one, one or more, two or more, any number, or none at all."""
    published: str = ""
    """The folder below `results/` that holds what is committed of it; empty for a report that is not published."""
    publisher: str = ""
    """The registered report that commits the runs of this one, where it does not publish by itself."""
    folder: str = "report"
    """The folder of the first run that it is written to where none is named."""


Bar = Callable[[str, int, str], AbstractContextManager[Callable[[int], object]]]
"""Given a stage, how many units it has and what they are, wraps it; what it yields is told of further units done."""


@contextmanager
def no_bar(stage: str, total: int, unit: str) -> Iterator[Callable[[int], object]]:  # noqa: ARG001
    """Shows nothing."""
    yield lambda _: None


@dataclass(frozen=True)
class ReportContext:
    """What a report may ask for beside the runs."""

    suite: Callable[[], Suite]
    """Loads the suite that the runs were drawn for, or the one that was named; called only by reports that need it."""
    command: str = ""
    """The command that a reader can run again."""
    work: Path = Path("runs")
    """Folder where a report that draws or trains on its own keeps what it can resume from."""
    log: Callable[[str], object] = lambda _: None
    """Called with one line when a stage begins."""
    bar: Bar = no_bar
    """Shows how far a long stage is."""


class Report(ABC, Generic[R]):
    """A study of scored runs. Keyword arguments of the constructor are its options (`-p name=value`) and have defaults.

    `measure` computes and stores nothing; the other methods show its result and compute nothing.
    """

    card: ClassVar[ReportCard]

    @abstractmethod
    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> R:
        """The result. Raises `PrefbenchError` for runs that do not belong together or lack what is asked."""

    @abstractmethod
    def as_json(self, result: R) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        """The result as plain data: what `--json` prints and `--out` writes. Holds no NaN and no path of a machine."""

    @abstractmethod
    def tables(self, result: R) -> Sequence[Grid]:
        """What the terminal shows, and the page too."""

    def passed(self, result: R) -> bool:  # noqa: ARG002
        """Whether what the report checks is in order; where it is not, the command exits with 1."""
        return True

    def write(self, result: R, folder: Path) -> Sequence[Path]:
        """Writes page, data and figures into a folder, each file whole or not at all; returns their paths.

        By default the plain data alone, as `<card name>.json`.
        """
        from prefbench.files import (  # it knows the errors of this package, which imports this module
            json_text,
            write_atomic,
        )

        path = folder / f"{self.card.name}.json"
        write_atomic(path, json_text(self.as_json(result)) + "\n")
        return (path,)

    def publish(self, result: R, results: Path | None = None) -> Sequence[Path]:  # noqa: ARG002
        """Writes what is committed; for reports whose card says `published`. Returns paths.

        Args:
            results: the folder that holds one folder per published report; by default `results/` of the clone.

        Raises:
            PrefbenchError: no folder is named and prefbench is an installed wheel, or the result is not publishable.
        """
        return ()

    def stale(self, results: Path | None = None) -> Sequence[str]:  # noqa: ARG002
        """The names of committed pages and figures that do not follow from the committed data."""
        return ()

    def rebuild(self, results: Path | None = None) -> Sequence[Path]:  # noqa: ARG002
        """Writes committed pages and figures again, from the committed data alone. Returns paths."""
        return ()

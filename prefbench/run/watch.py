"""Listeners for the progress of a run, so that the same calls serve a notebook, a program and a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prefbench.api import BackboneCard, StyleCard, Suite
    from prefbench.run.draw import RunResult
    from prefbench.run.folder import RunFolder
    from prefbench.run.given.prepare import GivenRun
    from prefbench.run.plan import RunSpec
    from prefbench.run.states import CollectedStates


class ShownBackbone(Protocol):
    """What is shown of a backbone."""

    @property
    def device(self) -> object:
        """Where it is, as a text shows it."""

    @property
    def card(self) -> BackboneCard | StyleCard:
        """Its card with the run's steps and guidance."""


class ShownRun(Protocol):
    """What is shown of a run that is ready to draw, whoever draws it."""

    @property
    def spec(self) -> RunSpec:
        """All that decides its images."""

    @property
    def shown(self) -> str:
        """The method as tables name it."""

    @property
    def suite(self) -> Suite:
        """What it draws for."""

    @property
    def backbone(self) -> ShownBackbone:
        """What it draws with."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kind of each user."""

    @property
    def n_samples(self) -> int:
        """Planned samples."""

    @property
    def folder(self) -> RunFolder:
        """Where it is stored."""


class Watch:
    """Shows nothing; `prefbench.cli.screen.Screen` overrides all of it."""

    def header(self, run: ShownRun) -> None:
        """Called with the prepared run before drawing."""

    def covered(self, given: GivenRun) -> None:
        """Called with a run of given images, and what was found of them, before anything is stored."""

    def stored(self, given: GivenRun, count: int) -> None:
        """Called with the number of given images that were stored now."""

    @contextmanager
    def progress(self, stage: str, total: int, unit: str = "img") -> Iterator[Callable[[int], object]]:  # noqa: ARG002
        """Wraps a stage of `total` units; yields a function to call with the number of further units done."""
        yield lambda _: None

    @contextmanager
    def status(self, text: str) -> Iterator[None]:  # noqa: ARG002
        """Wraps a short wait."""
        yield

    def drawn(self, result: RunResult, path: Path) -> None:
        """Called with the counts of samples drawn now, stored before, and failed."""

    def failures(self, path: Path) -> None:
        """Called when more samples failed than were allowed."""

    def represented(self, result: CollectedStates) -> None:
        """Called with the counts of users whose states were collected, and the failures."""

    def refused(self, reasons: Mapping[str, str]) -> None:
        """Called with the metrics that cannot be measured on the run, and the reasons."""

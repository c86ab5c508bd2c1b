"""Who draws a run: this process, or a worker per device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TypeAlias

from prefbench.api.reports import Bar, no_bar
from prefbench.engines.devices import check_devices, devices_here, parse_devices
from prefbench.engines.processes import process_workers
from prefbench.engines.shared_run import SharedRun, shared_run
from prefbench.run.draw import RunResult
from prefbench.run.execute import execute, execute_represent, wants_representations
from prefbench.run.prepare import Prepared, Settings, prepare
from prefbench.run.states import CollectedStates

Devices: TypeAlias = str | int | Iterable[str]


@dataclass(frozen=True)
class OwnRun(Prepared):
    """A run that this process draws; asked as `SharedRun` is."""

    @classmethod
    def of(cls, prepared: Prepared) -> OwnRun:
        """The prepared run."""
        return cls(**{one.name: getattr(prepared, one.name) for one in fields(prepared)})

    def execute(self, *, bar: Bar = no_bar) -> RunResult:
        """Draws what the folder lacks."""
        return execute(self, bar=bar)

    def wants_representations(self, metrics: Sequence[str]) -> bool:
        """Whether some metric asks for representations that the method has."""
        return wants_representations(self, metrics)

    def represent(self, *, advance: Callable[[int], object] = lambda _: None) -> CollectedStates:
        """Stores what the method knows of each user, where the folder lacks it."""
        return execute_represent(self, advance=advance)


@contextmanager
def drawing(settings: Settings, devices: Devices | None) -> Iterator[OwnRun | SharedRun]:
    """A run that is ready to draw, by a worker on each of the devices or, without any, by this process.

    Raises:
        PrefbenchError: any mistake, in one line.
    """
    if devices is None:
        yield OwnRun.of(prepare(settings))
        return
    check_devices(devices, settings.device)
    workers = process_workers(devices_here(parse_devices(devices)))
    with shared_run(settings, workers) as run:
        yield run

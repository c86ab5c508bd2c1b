"""Who draws a run: this process, or a worker per device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from prefbench.api.reports import Bar, no_bar
from prefbench.engines.devices import check_devices, devices_here, parse_devices
from prefbench.engines.shards import Shard, ShardFolder
from prefbench.run.draw import RunResult
from prefbench.run.execute import execute, execute_represent, wants_representations
from prefbench.run.prepare import Prepared, Settings, prepare

if TYPE_CHECKING:
    from prefbench.engines.ray_workers import Ray
    from prefbench.engines.shared_run import SharedRun
    from prefbench.run.states import CollectedStates

Devices: TypeAlias = str | int | Iterable[str]
R = TypeVar("R", "OwnRun", "SharedRun")


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
def drawing(
    settings: Settings, devices: Devices | None, shard: Shard | None, ray: Ray | None = None
) -> Iterator[OwnRun | SharedRun]:
    """A run that is ready to draw, by a worker on each of the devices, by those of a Ray cluster or by this process.

    Of a shard it holds that part of the plan.

    Raises:
        PrefbenchError: any mistake, in one line.
    """
    if ray is not None:
        from prefbench.engines.shared_run import shared_run

        check_devices("all" if devices is None else devices, settings.device)
        with ray.workers(devices) as actors, shared_run(settings, actors, collect=ray.collect) as shared:
            yield in_part(shared, shard)
        return
    if devices is None:
        prepared = prepare(settings)
        if shard is not None and prepared.names.given and not _are_kept(prepared, shard):
            prepared = prepare(settings)
        yield in_part(OwnRun.of(prepared), shard)
        return
    from prefbench.engines.processes import process_workers
    from prefbench.engines.shared_run import shared_run

    check_devices(devices, settings.device)
    workers = process_workers(devices_here(parse_devices(devices)))
    with shared_run(settings, workers) as run:
        yield in_part(run, shard)


def _are_kept(prepared: Prepared, shard: Shard) -> bool:
    """Whether the names that the method was set up with are the folder's: other shards may begin at the same time."""
    folder = ShardFolder(prepared.folder.path, shard)
    return folder.keep_names_secret(prepared.names.secret) == prepared.names.secret


def in_part(run: R, shard: Shard | None) -> R:
    """The run with the part of the plan that a shard draws, and the folder as it writes it."""
    if shard is None:
        return run
    part = shard.part_of(run.plan)
    folder = ShardFolder(run.folder.path, shard, [run.histories[user].digest for user in part.parted])
    return replace(run, plan=part.plan, folder=folder, n_whole=run.n_samples)


def n_lacking(run: OwnRun | SharedRun) -> int:
    """Samples of the whole run that nobody has drawn yet, though this part of it is drawn."""
    return 0 if run.n_whole is None else max(0, run.n_whole - len(run.folder.samples()))

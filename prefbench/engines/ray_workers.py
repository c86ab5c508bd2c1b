"""Workers that are actors of a Ray cluster: Ray finds room for them, ends them with the driver and keeps their logs."""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.engines.devices import parse_devices, thread_variables
from prefbench.engines.inside import begin, perform
from prefbench.engines.workers import Reply

_MISSING = "the engine ray needs the package ray: pip install 'prefbench[ray]'"
_ANSWER = 10.0
"""Seconds that a cluster has to answer."""
_REASON = 300
"""Letters of what Ray says of an actor's end."""


@dataclass(frozen=True)
class Ray:
    """A Ray cluster as the place of a run's workers.

    Args:
        address: of the cluster, `auto` for the one that this machine belongs to; by default that of `RAY_ADDRESS`, or a
            cluster of this machine alone, which ends with the run.
        gpus_per_worker: accelerators of one worker, or a share of one; 0 draws on the CPU.
        collect: images travel through Ray to this process, where nodes do not share the run folder.
    """

    address: str | None = None
    gpus_per_worker: float = 1.0
    collect: bool = False

    def __post_init__(self) -> None:
        """Raises `PrefbenchError` for a share of accelerators that no worker can have."""
        share = self.gpus_per_worker
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not (number and math.isfinite(share) and share >= 0 and (share <= 1 or share == int(share))):
            raise PrefbenchError(f"--gpus-per-worker is a share of 1, or a whole number; got {share!r}")

    @contextmanager
    def workers(self, devices: str | int | Iterable[str] | None) -> Iterator[list[RayWorker]]:
        """Connects to the cluster, and yields the workers that it has room for, or those that `devices` ask for.

        Args:
            devices: as of `parse_devices`: `4` for four on accelerators, `cpu:4` for four on the CPU; None and `all`
                for as many as there is room for.

        Raises:
            PrefbenchError: Ray is not installed, no cluster answers, it has no room, or devices are named one by one.
        """
        count, on_cpu = _asked_for(devices)
        ray = _loaded()
        with self._connected():
            gpus = 0.0 if on_cpu else self.gpus_per_worker
            room = ray.cluster_resources()
            has = int(room.get("GPU", 0) / gpus) if gpus else int(room.get("CPU", 0))
            if not has:
                what = f"{gpus:g} GPU" if gpus else "one core"
                raise PrefbenchError(f"the Ray cluster has no room for a worker of {what}; on the CPU ask for cpu:2")
            yield [RayWorker(str(i), gpus=gpus) for i in range(count or has)]

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Connects this process to the cluster and leaves it; one that is connected already stays so."""
        ray = _loaded()
        if ray.is_initialized():
            yield
            return
        address = self.address or os.environ.get("RAY_ADDRESS")
        try:
            _check_answer(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (OSError, ValueError, RuntimeError) as error:
            raise PrefbenchError(f"no Ray cluster answers at {address}: {_line(error)}") from error
        try:
            yield
        finally:
            ray.shutdown()


class RayActor:
    """The inside of a worker: Ray makes one of these in a process of its own, on some node of the cluster."""

    def __init__(self, folder: str, threads: int, level: int) -> None:
        if Path(folder).is_dir():  # paths are meant from where the driver was started
            os.chdir(folder)
        begin(threads, level)

    def perform(self, pickled: bytes) -> Reply:
        """See `inside.perform`."""
        return perform(pickled)


class RayWorker:
    """A worker that is an actor; see `Worker`.

    Args:
        name: of the worker.
        gpus: accelerators that it takes, or a share of one; 0 draws on the CPU.
        cpus: cores that it takes, and threads that it computes with.
    """

    def __init__(self, name: str, *, gpus: float = 0.0, cpus: int = 1) -> None:
        self.name, self.device, self.lives = name, "cuda" if gpus else "cpu", 0
        self._gpus, self._cpus = gpus, cpus
        self._actor: Any = None
        self._stopped = False

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Reply]:
        """See `Worker`. The actor waits until the cluster has room for it."""
        pickled = pickle.dumps((task, arguments))
        if self._stopped:
            raise _loaded().exceptions.RayActorError
        if self._actor is None:
            self._actor = self._new()
        future: Future[Reply] = self._actor.perform.remote(pickled).future()
        return future

    def ended(self, error: BaseException) -> str | None:
        """See `Worker`."""
        known = _loaded().exceptions
        if not isinstance(error, known.RayError) or isinstance(error, known.RayTaskError):
            return None
        return _line(error)

    def replace(self) -> None:
        """See `Worker`. Ray finds room for the new actor on any node."""
        self._kill()
        self._actor = None
        self.lives += 1

    def stop(self, *, gently: bool = False) -> None:  # noqa: ARG002
        """See `Worker`. What is ended gently has nothing left to do."""
        self._stopped = True
        self._kill()

    def _kill(self) -> None:
        ray = _loaded()
        if self._actor is not None and ray.is_initialized():
            ray.kill(self._actor)

    def _new(self) -> Any:
        actor = (
            _loaded()
            .remote(RayActor)
            .options(
                num_cpus=self._cpus,
                num_gpus=self._gpus,
                runtime_env={"env_vars": dict(thread_variables(self._cpus))},
            )
        )
        return actor.remote(str(Path.cwd()), self._cpus, logging.getLogger().getEffectiveLevel())


def _asked_for(devices: str | int | Iterable[str] | None) -> tuple[int, bool]:
    """How many workers, 0 for all that there is room for; and whether on the CPU."""
    if devices is None or devices == "all":
        return 0, False
    names = parse_devices(devices)
    if set(names) == {"cpu"}:
        return len(names), True
    if len(names) == 1 and names[0].isdecimal():
        return int(names[0]), False
    raise PrefbenchError(f"Ray chooses the devices itself: give --devices 8, cpu:8 or all, not {devices}")


def _check_answer(address: str | None) -> None:
    """Raises `OSError` where nothing listens at `host:port`: Ray itself would try again for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()


def _loaded() -> Any:
    try:
        import ray
    except ImportError as error:
        raise PrefbenchError(_MISSING) from error
    return ray


def _line(error: BaseException) -> str:
    """What Ray says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:_REASON] or type(error).__name__

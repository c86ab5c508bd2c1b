"""Where the workers of a run are that `benchmarks/kills.py` kills: processes of this machine, or nodes of a cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, ClassVar, Self

import psutil

_TRIES = 5
"""To start a node."""


class Place:
    """Processes of this machine.

    Args:
        devices: as of `prefbench run`.
    """

    shares: ClassVar[Mapping[str, float]] = {"worker": 0.7, "driver": 0.3}
    """Of kills that hit whom."""

    def __init__(self, devices: str) -> None:
        self.options = ["--devices", devices]

    def workers(self, driver: int) -> list[psutil.Process]:
        """The processes of the driver's workers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [one for one in psutil.Process(driver).children() if "spawn_main" in _title(one)]
        return []

    def lose_node(self) -> None:
        """There is none."""


class Nodes(Place):
    """Local nodes of a Ray cluster, with room for one worker each; entered, as they end with the block.

    Another process starts and ends them: drivers are forked from this one, and what is forked from a process that
    speaks to a cluster cannot.

    Args:
        count: at least 2.
    """

    shares: ClassVar[Mapping[str, float]] = {"worker": 0.6, "driver": 0.25, "node": 0.15}

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._asked, asking = context.Pipe()
        self._process = context.Process(target=_hold_cluster, args=(asking, count))
        self._process.start()
        asking.close()
        self.options = ["--engine", "ray", "--address", self._asked.recv(), "--devices", f"cpu:{count}"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._asked.close()
        self._process.join()

    def workers(self, driver: int) -> list[psutil.Process]:  # noqa: ARG002 - they are children of the nodes
        """The processes of actors."""
        nodes = psutil.Process(self._process.pid)
        return [one for one in nodes.children(recursive=True) if _title(one).startswith("ray::RayActor")]

    def lose_node(self) -> None:
        """Kills a node that is not the head; another takes its place."""
        self._asked.send("lose")
        self._asked.recv()


def _hold_cluster(asking: Connection, count: int) -> None:
    """Starts a cluster, says its address, and loses a node whenever it is asked to, until nobody can ask any more."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - its own gives way to all else
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = [cluster.add_node(num_cpus=1) for _ in range(count - 1)][-1]
    asking.send(cluster.address)
    with contextlib.suppress(EOFError):
        while asking.recv():
            cluster.remove_node(other, allow_graceful=False)
            other = _added(cluster)
            asking.send(True)
    cluster.shutdown()


def _added(cluster: Any) -> Any:
    """Another node. A machine that is busy with the drawing may not start one in the time that Ray gives it."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(Exception):
            return cluster.add_node(num_cpus=1)
    return cluster.add_node(num_cpus=1)


def _title(process: psutil.Process) -> str:
    """Its command; nothing of one that has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""

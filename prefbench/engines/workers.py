"""What a worker is to who hands out work: a process somewhere that runs functions one after the other, and may end.

`processes.py` has workers that are processes of this machine. Whatever else can run a module's function in a process
of its own (an actor of a cluster) takes their place by the same four members.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from prefbench.api import PrefbenchError

R = TypeVar("R")
logger = logging.getLogger(__name__)
_told: dict[tuple[str, str], str] = {}
"""The worker that said a log line first: of many that are set up in one way each says the same."""


class WorkerEndedError(Exception):
    """The worker's process has ended: was killed, ran out of memory, or a plug-in ended it."""

    def __init__(self, reason: str, *, innocent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.innocent = innocent
        """Whether what it was asked for last is not what it is to be blamed on, as that is counted elsewhere."""


@dataclass(frozen=True)
class Reply:
    """What came of one function that a worker ran."""

    value: Any = None
    refusal: PrefbenchError | None = None
    """Raised where the answer is read."""
    log: Sequence[logging.LogRecord] = ()
    """Warnings of the worker meanwhile."""


class Worker(Protocol):
    """One worker. A method of it may be called from the one thread that serves the worker; `stop` from any."""

    name: str
    """A digit or a word; log lines name it."""
    device: str
    lives: int
    """How often its process was started: what a former one held is lost."""

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Reply]:
        """Runs a module's function by `inside.perform` after those before it; the first call starts the process."""

    def ended(self, error: BaseException) -> str | None:
        """Why the process has ended, where `error` of a future says that it has; else None."""

    def replace(self) -> None:
        """Makes room for a new process; what was submitted to the former one is lost."""

    def stop(self, *, gently: bool = False) -> None:
        """Ends the process for good, `gently` after what it does now."""


def ask(worker: Worker, task: Callable[..., R], *arguments: Any) -> R:
    """Runs a function in a worker, waits for it, and tells the worker's warnings.

    Raises:
        WorkerEndedError: the worker's process has ended.
        PrefbenchError: the function raised it.
    """
    value: R = answer(worker, worker.submit(task, *arguments))
    return value


def answer(worker: Worker, future: Future[Reply]) -> Any:
    """What a submitted function returned. Raises as `ask` does."""
    try:
        reply = future.result()
    except BaseException as error:
        reason = worker.ended(error)
        if reason is None:
            raise
        raise WorkerEndedError(reason) from error
    for record in reply.log:
        if _told.setdefault((record.name, record.getMessage()), worker.name) == worker.name:
            logging.getLogger(record.name).handle(record)
    if reply.refusal is not None:
        raise reply.refusal
    return reply.value

"""Workers that are all set up in one way, and set up again where one is replaced."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from prefbench.api import PrefbenchError, counted
from prefbench.engines.workers import Reply, Worker, WorkerEndedError, answer

logger = logging.getLogger(__name__)
_LONG = 120.0
"""Seconds until it is said that a worker is not set up yet."""
AGAIN = 3
"""How often a worker that ends is replaced on the same part, or while it is set up."""


class Crew:
    """Workers of one kind of device.

    Args:
        workers: at least one.
        set_up: a module's function that is run in each of them first, and its arguments for a worker.
    """

    def __init__(
        self, workers: Sequence[Worker], set_up: Callable[..., Any], arguments: Callable[[Worker], Sequence[Any]]
    ) -> None:
        self.workers = workers
        self._set_up, self._arguments = set_up, arguments
        self._futures: dict[str, Future[Reply]] = {}
        self._answers: dict[str, Any] = {}

    @contextmanager
    def at_work(self) -> Iterator[Crew]:
        """Starts all workers; in the end none is left. SIGTERM ends the work as Ctrl-C does."""
        with _terminable():
            try:
                for worker in self.workers:
                    self._begin(worker)
                yield self
            except BaseException:
                self.kill()
                raise
            with ThreadPoolExecutor(len(self.workers)) as threads:
                list(threads.map(self._dismiss, self.workers))

    def is_ready(self, worker: Worker, before: Future[None]) -> bool:
        """Waits until a worker is set up, or something else is over before that. Raises as `ready` does."""
        first: list[Future[Any]] = [self._futures[worker.name], before]
        if not wait(first, timeout=_LONG, return_when=FIRST_COMPLETED).done:
            logger.warning("worker %s on %s still waits for its turn; the others go on", worker.name, worker.device)
            wait(first, return_when=FIRST_COMPLETED)
        if before.done():
            return False
        self.ready(worker)
        return True

    def first(self) -> Any:
        """What setting up the first worker that is ready returned. Raises as `ready` does."""
        wait(self._futures.values(), return_when=FIRST_COMPLETED)
        return self.ready(next(worker for worker in self.workers if self._futures[worker.name].done()))

    def ready(self, worker: Worker) -> Any:
        """What setting a worker up returned, once it has.

        Raises:
            PrefbenchError: it was refused, or the worker ended while it was set up, again and again.
        """
        for ends in range(1, AGAIN + 2):
            try:
                if worker.name not in self._answers:
                    self._answers[worker.name] = answer(worker, self._futures[worker.name])
                return self._answers[worker.name]
            except WorkerEndedError as end:
                if ends > AGAIN:
                    raise PrefbenchError(_never_ready(worker, ends, end.reason)) from end
            self.restart(worker)
        raise AssertionError("unreachable")

    def restart(self, worker: Worker) -> None:
        """Replaces a worker and begins to set it up."""
        worker.replace()
        self._begin(worker)

    def kill(self) -> None:
        """Ends all workers at once."""
        for worker in self.workers:
            worker.stop()

    def _dismiss(self, worker: Worker) -> None:
        worker.stop(gently=self._futures[worker.name].done())

    def _begin(self, worker: Worker) -> None:
        self._answers.pop(worker.name, None)
        try:
            self._futures[worker.name] = worker.submit(self._set_up, *self._arguments(worker))
        except BaseException as error:
            if worker.ended(error) is None:
                raise
            self._futures[worker.name] = Future()
            self._futures[worker.name].set_exception(error)


def _never_ready(worker: Worker, ends: int, reason: str) -> str:
    where = f"worker {worker.name} on {worker.device}"
    advice = 'a script that asks for devices must do so below if __name__ == "__main__"'
    return f"{where} ended {counted(ends, 'time')} while it was set up: {reason}; {advice}"


@contextmanager
def _terminable() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        with suppress(TypeError):  # of a handler that Python did not set
            signal.signal(signal.SIGTERM, before)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt

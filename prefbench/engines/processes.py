"""Workers that are processes of this machine: one executor of one spawned process each, replaced where it breaks."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.engines.devices import place_variables, thread_variables, threads_each
from prefbench.engines.inside import begin, perform
from prefbench.engines.workers import Reply
from prefbench.run.environment import variables_set

START = "spawn"
"""How processes start: anew, as what a process with threads or an accelerator forks may never work."""
_PATIENCE = 5.0
"""Seconds that a process has to end by itself."""
_starting = threading.Lock()
"""Held while a process starts: the environment that it inherits is set for all of this one."""


def process_workers(devices: Sequence[str]) -> list[ProcessWorker]:
    """One worker per device; each starts when it is first asked for something."""
    threads = threads_each(len(devices))
    return [ProcessWorker(str(i), device, threads) for i, device in enumerate(devices)]


class ProcessWorker:
    """A worker in a process of its own; see `Worker`."""

    def __init__(self, name: str, device: str, threads: int) -> None:
        self.name, self.device, self.lives = name, device, 0
        self._threads, self._variables = threads, {**thread_variables(threads), **place_variables(device)}
        self._process: BaseProcess | None = None
        self._stopped = threading.Event()
        self._executor = self._new()

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Reply]:
        """See `Worker`. Raises `BrokenExecutor` where the process has ended, as its futures do."""
        try:
            pickled = pickle.dumps((task, arguments))
        except Exception as error:
            what = f"other processes cannot be given this ({type(error).__name__}: {error})"
            raise PrefbenchError(f"{what}: give the class as path/to/file.py:Class") from error
        if self._stopped.is_set():
            raise BrokenExecutor("the worker was stopped")
        if self._process is not None:
            return self._executor.submit(perform, pickled)
        with _starting, variables_set(self._variables), _no_interrupt():
            others = set(multiprocessing.active_children())
            future = self._executor.submit(perform, pickled)
            self._process = next(iter(set(multiprocessing.active_children()) - others), None)
        if self._stopped.is_set():
            self._kill()
        return future

    def ended(self, error: BaseException) -> str | None:
        """See `Worker`."""
        if not isinstance(error, BrokenExecutor):
            return None
        if self._process is None:
            return "its process did not start"
        self._process.join(_PATIENCE)
        code = self._process.exitcode
        if code is None:
            return "its process broke off"
        if code >= 0:
            return f"its process ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"its process was killed by {name}" + (", as when memory runs out" if name == "SIGKILL" else "")

    def replace(self) -> None:
        """See `Worker`."""
        self._kill()
        self._executor, self._process = self._new(), None
        self.lives += 1

    def stop(self, *, gently: bool = False) -> None:
        """See `Worker`."""
        self._stopped.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
        if gently and self._process is not None:
            self._process.join(_PATIENCE)
        self._kill()
        if self._process is not None:
            self._process.join(_PATIENCE)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _new(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context(START),
            initializer=begin,
            initargs=(self._threads, logging.getLogger().getEffectiveLevel()),
        )


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """What starts meanwhile hears no Ctrl-C: it is for the process that started it, which ends its workers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

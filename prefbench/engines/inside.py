"""The inside of a worker's process: how it begins, and how it runs one function."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import threading
from logging.handlers import QueueHandler
from multiprocessing import connection, parent_process
from typing import Any

from prefbench.api import NotMeasurableError, PrefbenchError
from prefbench.api.errors import NoSpaceError
from prefbench.engines.workers import Reply

_records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()


def begin(threads: int, level: int) -> None:
    """Prepares the process: threads, log, and an end when the process ends that started it.

    Args:
        threads: that it computes with.
        level: from which on log lines are handed to who started it.
    """
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    logging.captureWarnings(capture=True)
    logging.basicConfig(level=level, handlers=[QueueHandler(_records)], force=True)
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)  # of what is loaded already; the environment tells the rest
    import torch

    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """Ends this process at once when its parent is gone: nobody waits for what it does."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def perform(pickled: bytes) -> Reply:
    """Runs a function on arguments, pickled together, and answers with what it returned, refused and logged."""
    try:
        task, arguments = _unpickled(pickled)
        value, refusal = task(*arguments), None
    except PrefbenchError as error:
        value, refusal = None, _plain(error)
    except Exception as error:
        if not _travels(error):  # it would end the worker, and nobody would read what it was
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise
    return Reply(value, refusal, _logged())


def _travels(error: Exception) -> bool:
    """Whether it can be pickled, and be made again from that."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


def _unpickled(pickled: bytes) -> Any:
    try:
        return pickle.loads(pickled)
    except Exception as error:
        what = f"a worker cannot load what it is given ({type(error).__name__}: {error})"
        raise PrefbenchError(f"{what}: give the class as path/to/file.py:Class") from error


def _plain(error: PrefbenchError) -> PrefbenchError:
    """The error as one that unpickles anywhere: a plug-in's own class, or what it holds, may not."""
    kinds = (NoSpaceError, NotMeasurableError, PrefbenchError)
    return next(kind for kind in kinds if isinstance(error, kind))(str(error))


def _logged() -> list[logging.LogRecord]:
    records = []
    with contextlib.suppress(queue.Empty):
        while True:
            records.append(_records.get_nowait())
    return records

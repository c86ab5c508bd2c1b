"""Memory that runs out: recognised, given back, and met by half the batch. Drawing and scoring share it."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from typing import TypeVar

from prefbench.api import PrefbenchError

T = TypeVar("T")
logger = logging.getLogger(__name__)
_MESSAGES = ("out of memory", "allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")
"""Of PyTorch where it has no exception class: MPS, the CPU's allocator on Linux and Windows, cuBLAS and cuDNN."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a smaller batch may help: for an exception, or what it was raised from."""
    while error is not None:
        is_torch = type(error).__name__ == "OutOfMemoryError"
        if is_torch or isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _says_so(error)):
            return True
        error = error.__cause__
    return False


def _says_so(error: RuntimeError) -> bool:
    return any(words in str(error) for words in _MESSAGES)


def free_memory() -> None:
    """Gives cached memory back to the devices."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()


class Batches:
    """Cuts work into batches, half as large whenever memory runs out, for this work and all later.

    Args:
        refusal: the line for one item that does not fit alone.
        largest: the largest batch to try; None for all items at once.
    """

    def __init__(self, refusal: str, largest: int | None = None) -> None:
        self._refusal, self.largest = refusal, largest

    def each(self, total: int, work: Callable[[int, int], T]) -> list[T]:
        """The results of `work(start, stop)` for consecutive batches that cover `total` items.

        Raises:
            PrefbenchError: one item alone does not fit into memory.
        """
        results: list[T] = []
        start = 0
        while start < total:
            stop = min(total, start + (self.largest or total))
            fitted = self._try(work, start, stop)
            if fitted is None:
                self._halve(stop - start)
            else:
                results.append(fitted[0])
                start = stop
        return results

    def _try(self, work: Callable[[int, int], T], start: int, stop: int) -> tuple[T] | None:
        """None when memory ran out; the error is dropped first, as its traceback would keep memory."""
        try:
            return (work(start, stop),)
        except (RuntimeError, MemoryError, PrefbenchError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _halve(self, batch: int) -> None:
        free_memory()
        if batch == 1:
            raise PrefbenchError(self._refusal)
        self.largest = batch // 2
        logger.warning("a batch of %d does not fit into memory: going on with %d", batch, self.largest)

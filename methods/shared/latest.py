"""The last thing that a method made of a history, kept for the next question about the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from prefbench.api import History

T = TypeVar("T")


class Latest(Generic[T]):
    """What `make` gives of a history; asked of one history several times in a row, it makes it once."""

    def __init__(self, make: Callable[[History], T]) -> None:
        self._make = make
        self._kept: tuple[str, T] | None = None

    def of(self, history: History) -> T:
        if self._kept is None or self._kept[0] != history.digest:
            self._kept = history.digest, self._make(history)
        return self._kept[1]

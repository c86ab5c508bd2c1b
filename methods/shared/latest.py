"""The last value computed from a history, kept for the next call with the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from prefbench.api import History

T = TypeVar("T")


class Latest(Generic[T]):
    """The value of `make` for a history; computed once for consecutive calls with the same history."""

    def __init__(self, make: Callable[[History], T]) -> None:
        self._make = make
        self._kept: tuple[str, T] | None = None

    def of(self, history: History) -> T:
        if self._kept is None or self._kept[0] != history.digest:
            self._kept = history.digest, self._make(history)
        return self._kept[1]

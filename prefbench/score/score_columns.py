"""A column that is filled from the rows of a file of scores, many at a time; each row has a place of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray


class Places:
    """Of each key its place in a column, 0 to N - 1."""

    def __init__(self, places: Mapping[str, int]) -> None:
        self._places, self._keys = places, list(places)
        self._in_order = np.fromiter(places.values(), np.int64, len(places))

    def of(self, keys: list[str]) -> NDArray[np.int64]:
        """The places of keys, -1 for one that has none. Those that stand in the usual order are found at once."""
        first = self._places.get(keys[0], 0)
        if self._keys[first : first + len(keys)] == keys:
            return self._in_order[first : first + len(keys)]
        return np.array([self._places.get(key, -1) for key in keys])


@dataclass(frozen=True)
class FilledColumn:
    """A column as far as it was read."""

    values: FloatArray
    """(N,), NaN where there is no value."""
    lines: NDArray[np.int64]
    """(N,), the line of the file that filled each place; 0 where none did."""

    def fill(self, places: NDArray[np.int64], values: FloatArray, lines: NDArray[np.int64]) -> str:
        """Puts values in their places. Returns what is wrong with the first row that has none (-1) or a taken one."""
        if places.min() >= 0 and not self.lines[places].any():
            self.lines[places] = lines
            if (self.lines[places] == lines).all():
                self.values[places] = values
                return ""
        taken = set(np.flatnonzero((self.lines > 0) & (self.lines < lines[0])).tolist())
        for place, line in zip(places.tolist(), lines.tolist(), strict=True):
            if place < 0 or place in taken:
                return f"line {line} is {'there twice' if place in taken else 'of nothing that the run holds'}"
            taken.add(place)
        raise AssertionError("a place is taken twice, and by no row")

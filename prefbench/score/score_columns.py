"""A column that is filled from the rows of a file of scores, many at a time; each row has a place of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray


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

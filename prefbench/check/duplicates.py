"""Near-duplicate pictures: the root mean square difference of pictures reduced to 8x8, brightness kept.

Two thresholds in levels of 255, calibrated on 600 scenes of picturebook:

- `COPY` 3: noise of ±4 levels (0.9 at most) and another size (2.0 at most) stay below. One scene rendered from another
  seed hardly ever does (2.9 at least, 12.7 in the median).
- `ALIKE` 12: half of the second renderings stay below, and so do copies that were cropped by a pixel (10.5 in the
  median) or stored as JPEG of quality 75 (9.3 at most). Of 180,000 pairs of unrelated scenes none did; but scenes that
  differ in one small thing do too, so pairs that are alike are counted and do not fail a suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import as_seen, counted

COPY, ALIKE = 3.0, 12.0
_SIDE = 8
_VALUES = 3 * _SIDE**2
_MIDDLE = np.float32(128)
_BLOCK = 2048

Thumbnails = NDArray[np.float32]
"""Reduced pictures, (N, 192): whole levels."""


@dataclass(frozen=True)
class Likeness:
    """How alike the pictures of two groups are, over all pairs."""

    pairs: int
    copies: int
    alike: int
    nearest: float

    def __str__(self) -> str:
        return (
            f"{self.copies} copies and {self.alike} alike in {counted(self.pairs, 'pair')}, nearest {self.nearest:.1f}"
        )


def thumbnail(image: Image.Image) -> NDArray[np.float32]:
    """The picture reduced by area, (192,), 0 to 255."""
    reduced = as_seen(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(reduced, np.float32).ravel()


def stacked(reduced: Sequence[NDArray[np.float32]]) -> Thumbnails:
    """Single thumbnails as one array, (N, 192); also of none."""
    return np.array(reduced, np.float32).reshape(-1, _VALUES)


@dataclass(frozen=True)
class Nearest:
    """For each picture of one group the most alike one of another: its place there, and how far it is, both (N,)."""

    places: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest(first: Thumbnails, second: Thumbnails, advance: Callable[[int], object] = lambda _: None) -> Nearest:
    """The nearest picture of `second` for each of `first`, block by block; place -1 and infinity where it is empty.

    `advance` is told how many pictures of `first` are done.
    """
    places = np.full(len(first), -1, np.int64)
    least = np.full(len(first), np.inf)
    for row in range(0, len(first), _BLOCK):
        block = slice(row, row + _BLOCK)
        for column in range(0, len(second), _BLOCK):
            squares = _squares(first[block], second[column : column + _BLOCK])
            best = squares.argmin(axis=1)
            closest = squares[np.arange(len(squares)), best]
            closer = closest < least[block]
            places[block] = np.where(closer, column + best, places[block])
            least[block] = np.where(closer, closest, least[block])
        advance(len(first[block]))
    return Nearest(places, np.sqrt(least / _VALUES))


def compare(first: Thumbnails, second: Thumbnails) -> Likeness:
    """Counts near-duplicates between two groups, block by block."""
    copies = alike = 0
    least = float("inf")
    for block in _blocks(first):
        for other in _blocks(second):
            squares = _squares(block, other)
            here = float(squares.min())
            least = min(least, here)
            if here < _VALUES * ALIKE**2:
                copies += int((squares < _VALUES * COPY**2).sum())
                alike += int((squares < _VALUES * ALIKE**2).sum())
    return Likeness(len(first) * len(second), copies, alike, float(np.sqrt(least / _VALUES)))


def _blocks(thumbnails: Thumbnails) -> Sequence[Thumbnails]:
    return [thumbnails[i : i + _BLOCK] for i in range(0, len(thumbnails), _BLOCK)]


def _squares(first: Thumbnails, second: Thumbnails) -> NDArray[np.float32]:
    """Sums of squared differences (N, M), as one product: [-2a, |a|², 1] [b, 1, |b|²]ᵀ.

    Exact: about their middle the levels are whole numbers of at most 128, so that no sum on the way reaches 2²⁴, up to
    which float32 holds every whole number.
    """
    a, b = first - _MIDDLE, second - _MIDDLE
    ones = [np.ones((len(side), 1), np.float32) for side in (a, b)]
    lengths = [(side * side).sum(axis=1, keepdims=True) for side in (a, b)]
    squares: NDArray[np.float32] = np.hstack([-2 * a, lengths[0], ones[0]]) @ np.hstack([b, ones[1], lengths[1]]).T
    return squares

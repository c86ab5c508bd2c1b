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
_BLOCK = 2048

Thumbnails = NDArray[np.float32]
"""Reduced pictures, (N, 192)."""


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
    return np.array(reduced, np.float32).reshape(-1, _SIDE * _SIDE * 3)


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
    distances = np.full(len(first), np.inf)
    for row in range(0, len(first), _BLOCK):
        block = slice(row, row + _BLOCK)
        for column in range(0, len(second), _BLOCK):
            of_block = _distances(first[block], second[column : column + _BLOCK])
            best = of_block.argmin(axis=1)
            closest = of_block[np.arange(len(of_block)), best]
            closer = closest < distances[block]
            places[block] = np.where(closer, column + best, places[block])
            distances[block] = np.where(closer, closest, distances[block])
        advance(len(first[block]))
    return Nearest(places, distances)


def compare(first: Thumbnails, second: Thumbnails) -> Likeness:
    """Counts near-duplicates between two groups, block by block."""
    copies = alike = 0
    nearest = float("inf")
    for block in _blocks(first):
        for other in _blocks(second):
            distance = _distances(block, other)
            copies += int((distance < COPY).sum())
            alike += int((distance < ALIKE).sum())
            nearest = min(nearest, float(distance.min()))
    return Likeness(len(first) * len(second), copies, alike, nearest)


def _blocks(thumbnails: Thumbnails) -> Sequence[Thumbnails]:
    return [thumbnails[i : i + _BLOCK] for i in range(0, len(thumbnails), _BLOCK)]


def _distances(first: Thumbnails, second: Thumbnails) -> NDArray[np.float64]:
    """Root mean square differences (N, M), as |a|² + |b|² - 2ab; in float64, or near pairs would drown in rounding."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0) / a.shape[1])
    return distances

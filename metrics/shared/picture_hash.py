"""Perceptual hashes of pictures: equal for copies that were saved again, scaled or brightened, far from others.

dHash and pHash as in the package `imagehash`, but not bit for bit: that one resamples with Lanczos to 8-bit grays and
hashes whole pictures, this one averages large pictures down, keeps fractions of a gray level, and takes crops and
mirror images from one decoded picture. Up to 7 of 64 bits differ, so thresholds and copy rates would be others; a test
shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

Hashes = NDArray[np.uint64]
"""(N, 2): 64 bits of a difference hash and 64 of a frequency hash."""
Box = tuple[float, float, float, float]
BITS = 128
WHOLE: Box = (0, 0, 1, 1)
VIEWS: tuple[Box, ...] = (
    WHOLE,
    (0.05, 0.05, 0.95, 0.95),
    (0.1, 0.1, 0.9, 0.9),
    (0, 0, 0.9, 0.9),
    (0.1, 0, 1, 0.9),
    (0, 0.1, 0.9, 1),
    (0.1, 0.1, 1, 1),
)
"""Left, top, right and bottom as shares of the picture: itself, two crops of its middle, one of each corner."""
_WORKING_SIDE = 128
_GRID = 32


def picture_hash(image: Image.Image) -> Hashes:
    """The hash (1, 2) of a picture as it is."""
    return _hashes(image, (WHOLE,))[0]


def view_hashes(image: Image.Image) -> Hashes:
    """The hashes (14, 2) of a picture, of crops of it, and of their mirror images."""
    return np.concatenate(_hashes(image, VIEWS))


def nearest_bits(hashes: Hashes, others: Hashes) -> NDArray[np.int64]:
    """For each hash (N, 2), the number of bits, 0 to 128, that differ from the nearest of others (M, 2); M > 0."""
    nearest = np.full(len(hashes), BITS, dtype=np.int64)
    for other in others:
        np.minimum(nearest, np.bitwise_count(hashes ^ other).sum(axis=1, dtype=np.int64), out=nearest)
    return nearest


def _hashes(image: Image.Image, boxes: Sequence[Box]) -> tuple[Hashes, Hashes]:
    """The hash of each box, and of its mirror image."""
    gray = image.convert("L").convert("F")
    if max(gray.size) > _WORKING_SIDE:
        gray = gray.resize((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.BOX)
    grids = _grids(gray, boxes, (_GRID, _GRID))
    steps = _grids(gray, boxes, (9, 8))
    upright = np.stack([_differences(steps), _frequencies(grids)], axis=1)
    mirrored = np.stack([_differences(steps[..., ::-1]), _frequencies(grids[..., ::-1])], axis=1)
    return upright, mirrored


def _grids(gray: Image.Image, boxes: Sequence[Box], size: tuple[int, int]) -> NDArray[np.float32]:
    """Each box at a size (width, height), as (boxes, height, width)."""
    scale = (gray.width, gray.height) * 2
    places = [tuple(share * side for share, side in zip(box, scale, strict=True)) for box in boxes]
    # mypy knows that four sides times four shares are a box, zip does not.
    return np.stack([np.asarray(gray.resize(size, Image.Resampling.BILINEAR, box=p)) for p in places])  # type: ignore[arg-type]


def _differences(grids: NDArray[np.float32]) -> Hashes:
    """dHash of grids (N, 8, 9): whether it gets brighter from left to right."""
    return _packed(grids[:, :, 1:] > grids[:, :, :-1])


def _frequencies(grids: NDArray[np.float32]) -> Hashes:
    """pHash of grids (N, S, S): which of the 64 lowest frequencies of the cosine transform are above their median."""
    low = scipy.fft.dctn(grids, axes=(-2, -1), norm="ortho")[:, :8, :8].reshape(len(grids), -1)
    return _packed(low > np.median(low, axis=1, keepdims=True))


def _packed(bits: NDArray[np.bool_]) -> Hashes:
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(np.uint64)[:, 0]

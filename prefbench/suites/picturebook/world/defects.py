"""Defects of a drawing: what is wrong with a picture whatever it shows, in steps that people see.

A judged picture is a scene, a seed and one level for each defect. Defects are no part of `Scene`: no prompt names them
and nobody wants them. The steps are told apart by eye at 32x32; `sheets.py` draws their ladders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from prefbench.api import Pixels
from prefbench.suites.picturebook.world.axes import Axis

Floats = NDArray[np.float64]

_SIGMA = (0.0, 0.8, 1.4)
"""Standard deviation of the blur in pixels."""
_GRAIN = (0.0, 18.0, 36.0)
"""Standard deviation of the noise in levels of 255."""
_OFFSET = (0.0, 1.0, 2.0)
"""Pixels by which the red plane moves one way and the blue one the other."""
_BLOTCHES = (0, 4, 10)
_OPACITY = (0.0, 0.7, 0.9)
_CANDIDATES = 8


def _defect(name: str) -> Axis:
    return Axis(name, "quality", ("none", "some", "strong"), (None,) * 3, (0.8, 0.13, 0.07))


DEFECTS: tuple[Axis, ...] = tuple(map(_defect, ("blur", "noise", "misregistration", "blotches")))
"""Each with the values none, some and strong; the prior is the share of pictures as a fair denoiser would draw them."""
DEFECT_NAMES: tuple[str, ...] = tuple(axis.name for axis in DEFECTS)


def spoil(pixels: Pixels, levels: Sequence[int], seed: int) -> Pixels:
    """The picture with defects: uint8 (H, W, 3).

    Args:
        levels: one index for each of `DEFECTS`, in their order; zeros give the pixels back unchanged.
        seed: decides the grain, the places of the blotches and the direction of the shift, each apart from the others,
            so a higher level of one defect leaves the rest as it was.

    Raises:
        ValueError: another number of levels, or a level that is not 0, 1 or 2.
    """
    if len(levels) != len(DEFECTS) or any(level not in (0, 1, 2) for level in levels):
        raise ValueError(f"levels are {len(DEFECTS)} numbers, each 0, 1 or 2, got {tuple(levels)}")
    if not any(levels):
        return pixels
    chosen = dict(zip(DEFECT_NAMES, map(int, levels), strict=True))
    picture = pixels.astype(np.float64)
    for stream, (name, apply) in enumerate(_APPLIED.items()):
        if chosen[name]:
            picture = apply(picture, chosen[name], np.random.default_rng([seed, stream]))
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def _blotched(picture: Floats, level: int, rng: np.random.Generator) -> Floats:
    """Soft spots in colours from elsewhere in the picture: a denoiser that mistakes one region for another."""
    height, width, _ = picture.shape
    y, x = np.mgrid[0:height, 0:width]
    blotched = picture
    for _ in range(_BLOTCHES[level]):
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        wide, long = rng.uniform(1.6, 3.4, 2)
        colours = picture.reshape(-1, 3)[rng.integers(height * width, size=_CANDIDATES)]
        here = picture[int(cy), int(cx)]
        colour = colours[np.abs(colours - here).sum(1).argmax()]
        depth = np.hypot((y - cy) / wide, (x - cx) / long)
        mask = _OPACITY[level] * np.clip(1.6 - depth, 0, 1)[..., None]
        blotched = blotched * (1 - mask) + colour * mask
    return blotched


def _misregistered(picture: Floats, level: int, rng: np.random.Generator) -> Floats:
    angle = rng.uniform(0, 2 * math.pi)
    offset = _OFFSET[level] * np.array([math.sin(angle), math.cos(angle)])
    red, green, blue = (picture[..., c] for c in range(3))
    return np.stack(
        [shift(red, offset, order=1, mode="nearest"), green, shift(blue, -offset, order=1, mode="nearest")], axis=-1
    )


def _blurred(picture: Floats, level: int, _: np.random.Generator) -> Floats:
    blurred: Floats = gaussian_filter(picture, (_SIGMA[level], _SIGMA[level], 0), mode="nearest")
    return blurred


def _noisy(picture: Floats, level: int, rng: np.random.Generator) -> Floats:
    return picture + _GRAIN[level] * rng.standard_normal(picture.shape)


_APPLIED: Mapping[str, Callable[[Floats, int, np.random.Generator], Floats]] = {
    "blotches": _blotched,
    "misregistration": _misregistered,
    "blur": _blurred,
    "noise": _noisy,
}
"""In the order of a drawing: what the denoiser does wrong comes before what happens to the finished picture."""

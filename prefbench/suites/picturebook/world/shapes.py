"""The shapes of the picturebook world: polygons in the unit box [-1, 1] x [-1, 1], y growing downward.

Each part names the palette role that colours it, so a palette recolours the whole thing and content never depends on
colour. Details are at least a quarter of the box, so they stay visible at 16 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


class Part(NamedTuple):
    """A polygon (n, 2) and the palette role that fills it."""

    role: str
    points: Points


def _poly(*points: tuple[float, float]) -> Points:
    return np.array(points, dtype=np.float64)


def _rect(x0: float, y0: float, x1: float, y1: float) -> Points:
    return _poly((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def _arc(cx: float, cy: float, rx: float, ry: float, start: float = 0, stop: float = 360, n: int = 18) -> Points:
    angles = np.radians(np.linspace(start, stop, n, endpoint=stop - start < 360))
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)


def _burst(tips: int, inner: float) -> Points:
    angles = np.radians(-90 + np.arange(2 * tips) * 180 / tips)
    radii = np.where(np.arange(2 * tips) % 2 == 0, 1.0, inner)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x / 16.5, -(y + 2.5) / 14.5], axis=1)


def _mirrored(points: Points) -> Points:
    mirrored: Points = points * np.array([-1.0, 1.0])
    return mirrored


def _both(role: str, points: Points) -> Sequence[Part]:
    return (Part(role, points), Part(role, _mirrored(points)))


OBJECTS: Mapping[str, Sequence[Part]] = {
    "house": (
        Part("main", _rect(-0.72, -0.15, 0.72, 0.95)),
        Part("second", _poly((-1.0, -0.1), (0, -1.0), (1.0, -0.1))),
        Part("accent", _rect(-0.2, 0.3, 0.22, 0.95)),
    ),
    "tree": (
        Part("second", _rect(-0.2, 0.2, 0.2, 1.0)),
        Part("main", _arc(0, -0.42, 0.62, 0.56)),
        *_both("main", _arc(0.48, 0.05, 0.5, 0.42)),
    ),
    "boat": (
        Part("line", _rect(-0.07, -1.0, 0.07, 0.45)),
        Part("accent", _poly((0.12, -0.95), (0.9, 0.28), (0.12, 0.28))),
        Part("second", _poly((-0.14, -0.7), (-0.14, 0.28), (-0.75, 0.28))),
        Part("main", _poly((-1.0, 0.4), (1.0, 0.4), (0.6, 0.98), (-0.6, 0.98))),
    ),
    "fish": (
        Part("second", _poly((0.4, 0), (1.0, -0.65), (0.82, 0), (1.0, 0.65))),
        Part("main", _arc(-0.2, 0, 0.8, 0.58)),
        Part("accent", _arc(-0.58, -0.14, 0.19, 0.19, n=10)),
        Part("second", _poly((0.0, -0.32), (0.22, 0), (0.0, 0.32), (-0.16, 0))),
    ),
    "cat": (
        *_both("main", _poly((0.88, -1.0), (0.84, 0.2), (0.1, -0.42))),
        Part("main", _arc(0, 0.2, 0.88, 0.72)),
        *_both("accent", _arc(0.36, 0.06, 0.19, 0.22, n=10)),
        Part("second", _poly((-0.24, 0.38), (0.24, 0.38), (0, 0.68))),
    ),
    "car": (
        Part("main", _poly((-0.55, 0.0), (-0.34, -0.62), (0.34, -0.62), (0.66, 0.0))),
        Part("main", _poly((-1.0, -0.05), (0.8, -0.05), (1.0, 0.2), (1.0, 0.55), (-1.0, 0.55))),
        Part("accent", _poly((-0.36, -0.06), (-0.22, -0.46), (0.26, -0.46), (0.44, -0.06))),
        *_both("line", _arc(0.54, 0.56, 0.33, 0.33, n=12)),
    ),
    "umbrella": (
        Part("line", _rect(-0.09, -0.1, 0.09, 0.9)),
        Part("line", _rect(-0.42, 0.78, 0.09, 0.96)),
        Part("main", _arc(0, 0.12, 1.0, 1.05, 180, 360)),
        Part("second", _arc(0, 0.12, 0.38, 1.05, 180, 360)),
    ),
    "rocket": (
        *_both("second", _poly((0.3, 0.2), (0.75, 0.75), (0.3, 0.7))),
        Part("accent", _poly((-0.24, 0.6), (0.24, 0.6), (0, 1.0))),
        Part(
            "main",
            _poly((0, -1.0), (0.32, -0.55), (0.38, 0.1), (0.3, 0.72), (-0.3, 0.72), (-0.38, 0.1), (-0.32, -0.55)),
        ),
        Part("accent", _arc(0, -0.22, 0.2, 0.22, n=10)),
    ),
    "cup": (
        Part(
            "second",
            np.concatenate([_arc(0.5, 0.1, 0.5, 0.48, -90, 90, 10), _arc(0.5, 0.1, 0.22, 0.2, -90, 90, 8)[::-1]]),
        ),
        Part("main", _poly((-0.95, -0.62), (0.62, -0.62), (0.45, 0.9), (-0.78, 0.9))),
        Part("accent", _poly((-0.92, -0.3), (0.59, -0.3), (0.54, 0.12), (-0.87, 0.12))),
    ),
    "cactus": (
        Part("main", np.concatenate([_arc(0, -0.7, 0.28, 0.3, 180, 360, 8), _poly((0.28, 0.55), (-0.28, 0.55))])),
        Part("main", _poly((-0.2, 0.2), (-0.9, 0.2), (-0.9, -0.5), (-0.56, -0.5), (-0.56, -0.1), (-0.2, -0.1))),
        Part("main", _poly((0.2, -0.05), (0.9, -0.05), (0.9, -0.75), (0.56, -0.75), (0.56, -0.35), (0.2, -0.35))),
        Part("second", _poly((-0.6, 0.5), (0.6, 0.5), (0.42, 1.0), (-0.42, 1.0))),
    ),
    "crown": (
        Part(
            "main", _poly((-0.85, 0.4), (-1.0, -0.7), (-0.48, -0.1), (0, -0.9), (0.48, -0.1), (1.0, -0.7), (0.85, 0.4))
        ),
        Part("second", _rect(-0.85, 0.35, 0.85, 0.8)),
        Part("accent", _arc(0, 0.05, 0.2, 0.24, n=10)),
    ),
    "snowman": (
        Part("accent", _arc(0, 0.46, 0.62, 0.54)),
        Part("accent", _arc(0, -0.3, 0.42, 0.4)),
        Part("main", _rect(-0.6, -0.68, 0.6, -0.5)),
        Part("main", _rect(-0.34, -1.0, 0.34, -0.55)),
        Part("second", _poly((0.02, -0.32), (0.62, -0.16), (0.02, -0.06))),
    ),
}

COMPANIONS: Mapping[str, Sequence[Part]] = {
    "none": (),
    "bird": (
        Part("fill", _poly((-1.0, -0.35), (-0.3, 0.1), (-0.6, 0.75))),
        Part("fill", _arc(0.05, 0.25, 0.62, 0.5)),
        Part("fill", _arc(0.5, -0.42, 0.4, 0.4, n=12)),
        Part("fill", _poly((0.8, -0.6), (1.2, -0.35), (0.8, -0.15))),
    ),
    "flower": (
        Part("fill", _rect(-0.13, 0.1, 0.13, 1.1)),
        *(
            Part("fill", _arc(0.52 * np.cos(a), -0.4 + 0.52 * np.sin(a), 0.34, 0.34, n=10))
            for a in np.arange(5) * 2 * np.pi / 5 - np.pi / 2
        ),
        Part("core", _arc(0, -0.4, 0.3, 0.3, n=10)),
    ),
    "star": (Part("fill", 1.1 * _burst(5, 0.42)),),
    "heart": (Part("fill", _heart()),),
}

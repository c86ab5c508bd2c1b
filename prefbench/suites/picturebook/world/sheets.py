"""Contact sheets: many small pictures on one page, enlarged so that people can look at them.

`python -m prefbench.suites.picturebook.world.sheets docs/world.png` draws the world: every value of every axis. With
`--defects` before the path it draws the ladders of the defects.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prefbench.files import atomic_file
from prefbench.suites.picturebook.world.axes import (
    OBJECT,
    SETTING,
    STYLE,
    Axis,
    Scene,
    sample_styles,
    training_contents,
)
from prefbench.suites.picturebook.world.defects import DEFECTS, spoil
from prefbench.suites.picturebook.world.render import SIZE, render, show

_PLAIN = {"temperature": "neutral", "vignette": "even", "tilt": "upright"}
_SUBJECTS = (
    {"object": "boat", "palette": "ocean", "composition": "close-up"},
    {"object": "cat", "palette": "sunset", "composition": "small"},
    {"object": "house", "palette": "neon", "composition": "repeated"},
)


def contact_sheet(pictures: Sequence[NDArray[np.uint8]], path: Path, *, columns: int, scale: int = 3) -> None:
    """Writes pictures row by row into one PNG."""
    rows = -(-len(pictures) // columns)
    page = np.full((rows * (SIZE + 1), columns * (SIZE + 1), 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = (i // columns) * (SIZE + 1), (i % columns) * (SIZE + 1)
        page[top : top + SIZE, left : left + SIZE] = picture
    with atomic_file(path) as temporary:
        show(page, scale).save(temporary, format="PNG", optimize=True)


def world_sheet(path: Path, *, columns: int = 18) -> None:
    """One row for the objects, one for the settings, then one row per style axis: each value on three subjects."""
    rows = [
        [render(Scene.of(**{**_PLAIN, "object": name}), i) for i, name in enumerate(OBJECT.values)],
        [render(Scene.of(**{**_PLAIN, **s, "setting": v}), 0) for s in _SUBJECTS for v in SETTING.values],
        *(_axis_row(axis) for axis in STYLE),
    ]
    blank = np.full((SIZE, SIZE, 3), 255, np.uint8)
    padded = [picture for row in rows for picture in [*row, *[blank] * columns][:columns]]
    contact_sheet(padded, path, columns=columns)


def _axis_row(axis: Axis) -> list[NDArray[np.uint8]]:
    return [render(Scene.of(**{**_PLAIN, **s, axis.name: v}), 0) for s in _SUBJECTS for v in axis.values]


def defect_sheet(path: Path, *, subjects: int = 8) -> None:
    """One row for each defect: random scenes, each without it, with some of it and with much of it."""
    rng = np.random.default_rng(5)
    styles, contents = sample_styles(rng, subjects), training_contents()
    scenes = [contents[rng.integers(len(contents))].scene(style) for style in styles]
    pictures = [
        spoil(render(scene, seed), [level * (axis is defect) for axis in DEFECTS], seed)
        for defect in DEFECTS
        for seed, scene in enumerate(scenes)
        for level in range(len(defect))
    ]
    contact_sheet(pictures, path, columns=3 * subjects)


if __name__ == "__main__":
    sheet = defect_sheet if "--defects" in sys.argv else world_sheet
    sheet(Path(sys.argv[-1]))

"""Pictures that `mini-sd` drew, for histories in which not everything is rendered.

A drawing is kept where the reader is sure of every attribute; what it reads is what the picture shows from then on.
`miniatures/drawn_pictures.py` draws them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from prefbench.api import Pixels
from prefbench.suites.picturebook.world.axes import Content, Scene
from prefbench.suites.picturebook.world.render import SIZE

SHEET, SCENES = (Path(__file__).with_name(name) for name in ("drawn.png", "drawn.csv"))
"""All pictures side by side, and a row of indices for each, in the order of `AXES`."""
COLUMNS = 40
"""Pictures in a row of the sheet."""


@dataclass(frozen=True)
class DrawnPicture:
    """A picture, by its place on the sheet, and what it shows."""

    place: int
    scene: Scene

    @property
    def pixels(self) -> Pixels:
        """uint8 (32, 32, 3)."""
        top, left = (SIZE * i for i in divmod(self.place, COLUMNS))
        return _sheet()[top : top + SIZE, left : left + SIZE]


@cache
def drawn_pictures() -> Mapping[Content, Sequence[DrawnPicture]]:
    """All of them, by content."""
    rows = csv.reader(io.StringIO(SCENES.read_text(encoding="utf-8")))
    next(rows)
    by_content: dict[Content, list[DrawnPicture]] = {}
    for place, row in enumerate(rows):
        scene = Scene(tuple(map(int, row)))
        by_content.setdefault(scene.content, []).append(DrawnPicture(place, scene))
    return by_content


@cache
def drawn_digest() -> str:
    """SHA-256 over all pixels."""
    return hashlib.sha256(_sheet().tobytes()).hexdigest()


@cache
def _sheet() -> Pixels:
    with Image.open(SHEET) as image:
        return np.asarray(image.convert("RGB"))

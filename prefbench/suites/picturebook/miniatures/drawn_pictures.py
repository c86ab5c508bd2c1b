"""Draws the pictures of histories that are not rendered.

`python -m prefbench.suites.picturebook.miniatures.drawn_pictures` writes them again, with what they show. Kept are
those in which the reader is sure of every attribute and sees the content that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from prefbench.api import Pixels
from prefbench.files import atomic_file, write_atomic
from prefbench.models.backbones.loader import load_backbone
from prefbench.suites.picturebook.data.drawn import COLUMNS, SCENES, SHEET
from prefbench.suites.picturebook.miniatures.mini_sd import sample
from prefbench.suites.picturebook.reader.reader import load_reader
from prefbench.suites.picturebook.world.axes import AXES, NAMEABLE, STYLE_NAMES, sample_styles, training_contents
from prefbench.suites.picturebook.world.render import SIZE

_TRIED, _BATCH, _SEED, _SURE = 1600, 100, 17, 0.9


def draw() -> None:
    """Draws every style asked for in words, and keeps what came out as the reader is sure of it."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(_SEED)
    styles, contents = sample_styles(rng, _TRIED, uniform=STYLE_NAMES), training_contents()
    scenes = [contents[i % len(contents)].scene(style) for i, style in enumerate(styles)]
    pipeline, reader = load_backbone("mini-sd", device="cpu").pipeline, load_reader()
    kept: list[tuple[Pixels, tuple[int, ...]]] = []
    for start in range(0, _TRIED, _BATCH):
        chunk = scenes[start : start + _BATCH]
        pictures = sample(pipeline, [scene.caption(NAMEABLE) for scene in chunk], seed=start)
        read = reader.read(pictures)
        shown = np.stack([read[axis.name].argmax(1) for axis in AXES], axis=1)
        sure = np.min([read[axis.name].max(1) for axis in AXES], axis=0) >= _SURE
        asked = [i for i, scene in enumerate(chunk) if sure[i] and tuple(shown[i, :2]) == scene.indices[:2]]
        kept += [(pictures[i], tuple(shown[i].tolist())) for i in asked]
    _store(kept)


def _store(kept: Sequence[tuple[Pixels, tuple[int, ...]]]) -> None:
    sheet = np.full((-(-len(kept) // COLUMNS) * SIZE, COLUMNS * SIZE, 3), 255, np.uint8)
    for place, (pixels, _) in enumerate(kept):
        top, left = (SIZE * i for i in divmod(place, COLUMNS))
        sheet[top : top + SIZE, left : left + SIZE] = pixels
    with atomic_file(SHEET) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG", optimize=True)
    lines = [[axis.name for axis in AXES], *(indices for _, indices in kept)]
    write_atomic(SCENES, "".join(",".join(map(str, line)) + "\n" for line in lines))


if __name__ == "__main__":
    draw()

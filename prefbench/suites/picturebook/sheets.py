"""Contact sheets: many small pictures on one page, enlarged so that people can look at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from prefbench.paths import atomic_file
from prefbench.suites.picturebook.axes import CONTENTS, NAMEABLE, STYLE_NAMES, sample_styles
from prefbench.suites.picturebook.render import SIZE, show


def contact_sheet(pictures: Sequence[NDArray[np.uint8]], path: Path, *, columns: int, scale: int = 3) -> None:
    """Writes pictures row by row into one PNG."""
    rows = -(-len(pictures) // columns)
    page = np.full((rows * (SIZE + 1), columns * (SIZE + 1), 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = (i // columns) * (SIZE + 1), (i % columns) * (SIZE + 1)
        page[top : top + SIZE, left : left + SIZE] = picture
    with atomic_file(path) as temporary:
        show(page, scale).save(temporary, format="PNG", optimize=True)


def sample_sheet(pipeline: StableDiffusionPipeline, path: Path, *, columns: int = 16) -> None:
    """Draws two rows with style words and one without, the same prompts every time."""
    from prefbench.suites.picturebook.mini_sd import sample

    rng = np.random.default_rng(7)
    styles = sample_styles(rng, 2 * columns, uniform=STYLE_NAMES)
    scenes = [CONTENTS[rng.integers(len(CONTENTS))].scene(style) for style in styles]
    prompts = [scene.caption(NAMEABLE) for scene in scenes] + [scene.content.prompt for scene in scenes[:columns]]
    contact_sheet(list(sample(pipeline, prompts)), path, columns=columns)

"""Near-duplicates: what counts as the same picture, and what as another rendering of it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from prefbench.check.duplicates import ALIKE, COPY, compare, nearest, thumbnail
from prefbench.suites.picturebook.world.axes import STYLE_NAMES, sample_styles, training_contents
from prefbench.suites.picturebook.world.render import render


def test_near_duplicates_are_found_block_by_block_and_told_from_other_renderings() -> None:
    styles = sample_styles(np.random.default_rng(1), 60, uniform=STYLE_NAMES)
    scenes = [training_contents()[i % 36].scene(style) for i, style in enumerate(styles)]
    pictures = [render(scene, seed=1) for scene in scenes]
    rng = np.random.default_rng(0)
    jittered = [np.clip(p + rng.integers(-4, 5, p.shape), 0, 255).astype(np.uint8) for p in pictures]
    enlarged = [np.asarray(Image.fromarray(p).resize((80, 80), Image.Resampling.BICUBIC)) for p in pictures]
    again = [render(scene, seed=2) for scene in scenes]
    of, jit, big, new = (
        np.stack([thumbnail(Image.fromarray(p)) for p in group]) for group in (pictures, jittered, enlarged, again)
    )
    assert compare(of, jit).copies == compare(of, big).copies == len(scenes)
    near = [compare(a[None], b[None]).nearest for a, b in zip(of, new, strict=True)]
    assert min(near) >= COPY
    assert np.mean(np.array(near) < ALIKE) > 0.3
    many = np.repeat(of, 50, axis=0)  # 3,000 rows: more than one block
    assert compare(many, jit).copies == 50 * len(scenes)


def test_distances_are_exact_for_any_levels() -> None:
    rng = np.random.default_rng(2)
    first, second = (rng.integers(0, 256, (n, 192)).astype(np.float32) for n in (40, 50))
    first[:3], second[:3] = 255, 0  # the largest distance there is
    first[5], second[7] = second[9], second[9] + np.where(np.arange(192) == 4, 1, 0) * (second[9] < 255)
    squares = ((first[:, None].astype(np.int64) - second.astype(np.int64)) ** 2).sum(axis=2)
    found = nearest(first, second)
    assert found.places.tolist() == squares.argmin(axis=1).tolist()
    assert found.distances.tolist() == np.sqrt(squares.min(axis=1) / 192).tolist()
    likeness = compare(first, second)
    assert likeness.nearest == np.sqrt(squares.min() / 192) == 0
    assert (likeness.copies, likeness.alike) == (((squares < 9 * 192).sum()), (squares < 144 * 192).sum()) == (2, 2)

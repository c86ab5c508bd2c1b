"""Defects of pictures: what each of them does, in steps, and that they do not touch each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from prefbench.suites.picturebook.world.axes import AXES, Scene
from prefbench.suites.picturebook.world.defects import DEFECT_NAMES, DEFECTS, spoil
from prefbench.suites.picturebook.world.render import render
from prefbench.suites.picturebook.world.sheets import defect_sheet

PICTURES = [render(Scene.of(object=i % 12, setting=i % 4, palette=i % 6), i) for i in range(8)]


def spoiled(name: str, level: int, seed: int = 3) -> NDArray[np.float64]:
    levels = [level * (other == name) for other in DEFECT_NAMES]
    return np.array([spoil(picture, levels, seed) for picture in PICTURES], np.float64)


def sharpness(pictures: NDArray[np.float64]) -> float:
    return float(np.abs(np.diff(pictures, axis=2)).mean())


def test_no_defect_leaves_the_pixels_unchanged() -> None:
    assert all(spoil(picture, (0, 0, 0, 0), 1) is picture for picture in PICTURES)


@pytest.mark.parametrize("name", DEFECT_NAMES)
def test_each_step_of_a_defect_moves_a_picture_further(name: str) -> None:
    clean = np.array(PICTURES, np.float64)
    some, strong = (np.abs(spoiled(name, level) - clean).mean() for level in (1, 2))
    assert 2 < some < strong / 1.3


@pytest.mark.parametrize("name", DEFECT_NAMES)
def test_equal_seeds_give_equal_pixels_and_other_seeds_do_not(name: str) -> None:
    np.testing.assert_array_equal(spoiled(name, 2, seed=4), spoiled(name, 2, seed=4))
    assert (np.abs(spoiled(name, 2, seed=4) - spoiled(name, 2, seed=5)).max() > 0) == (name != "blur")


def test_blur_softens_and_noise_roughens() -> None:
    clean = sharpness(np.array(PICTURES, np.float64))
    assert sharpness(spoiled("blur", 2)) < sharpness(spoiled("blur", 1)) < 0.9 * clean
    assert sharpness(spoiled("noise", 2)) > sharpness(spoiled("noise", 1)) > 1.1 * clean


def test_noise_has_the_stated_size_where_nothing_clips() -> None:
    gray = np.full((64, 64, 3), 128, np.uint8)
    assert spoil(gray, [0, 1, 0, 0], 0).std() == pytest.approx(18, rel=0.03)
    assert spoil(gray, [0, 2, 0, 0], 0).std() == pytest.approx(36, rel=0.03)


def test_misregistration_leaves_the_green_plane_and_shifts_red_against_blue() -> None:
    """The shift is the peak of the cross-correlation of red and blue, which agree in a gray picture."""
    gray = np.repeat(np.random.default_rng(0).integers(0, 255, (32, 32, 1)), 3, axis=2).astype(np.uint8)
    for level, distance in ((1, 2), (2, 4)):
        moved = spoil(gray, [0, 0, level, 0], 7)
        np.testing.assert_array_equal(moved[..., 1], gray[..., 1])
        red, blue = (np.fft.fft2(moved[..., c] - moved[..., c].mean()) for c in (0, 2))
        peak = np.unravel_index(np.fft.ifft2(red * blue.conj()).real.argmax(), (32, 32))
        assert np.hypot(*((np.array(peak) + 16) % 32 - 16)) == pytest.approx(distance, abs=0.8)


def test_blotches_are_few_spots_in_colours_of_the_picture() -> None:
    changed = np.abs(spoiled("blotches", 1) - np.array(PICTURES, np.float64)).sum(-1) > 12
    assert 0.03 < changed.mean() < 0.35
    two = np.zeros((32, 32, 3), np.uint8)
    two[:, 16:] = (200, 100, 0)
    mixed = spoil(two, [0, 0, 0, 2], 1).astype(float)
    np.testing.assert_allclose(mixed[..., 0] / 2, mixed[..., 1], atol=1)  # mixtures of the two colours and no others


def test_a_higher_level_of_one_defect_keeps_the_grain_of_another() -> None:
    gray = np.full((32, 32, 3), 128, np.uint8)
    soft, plain = spoil(gray, [2, 1, 0, 0], 9), spoil(gray, [0, 1, 0, 0], 9)
    np.testing.assert_array_equal(soft, plain)


@pytest.mark.parametrize("levels", [(0, 0, 0), (0, 0, 0, 3), (-1, 0, 0, 0), (0.5, 0, 0, 0)])
def test_other_levels_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="each 0, 1 or 2"):
        spoil(PICTURES[0], levels, 0)


def test_defects_are_axes_apart_from_those_of_scenes() -> None:
    assert {axis.group for axis in DEFECTS} == {"quality"}
    assert not {axis.name for axis in AXES} & set(DEFECT_NAMES)
    assert all(sum(axis.prior) == pytest.approx(1) for axis in DEFECTS)


def test_the_sheet_of_ladders_has_a_row_for_each_defect(tmp_path: Path) -> None:
    defect_sheet(tmp_path / "ladders.png", subjects=2)
    assert Image.open(tmp_path / "ladders.png").size == (3 * 6 * 33, 3 * 4 * 33)

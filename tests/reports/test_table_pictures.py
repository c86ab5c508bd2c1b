"""Figure and gallery: pixels at their places, files that repeat exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefbench.api import History
from prefbench.reports.table.compare import Comparison, compare
from prefbench.reports.table.figures import draw_figure
from prefbench.reports.table.gallery import TILE, choose_users, draw_gallery, fit, page_size, place
from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import build, history


def test_gallery_shows_each_picture_at_its_place(runs: list[ScoredFolder], tmp_path: Path) -> None:
    path = draw_gallery(runs[0], history, tmp_path / "gallery.png")
    page = np.asarray(Image.open(path).convert("RGB"))
    assert page.shape[1::-1] == page_size(3)
    # Users kind by kind: ann and cyd are noisy, bob is sparse.
    tiles = {
        (0, "liked"): (250, 10, 10),
        (0, "disliked"): (10, 10, 250),
        (1, "drawn"): (80, 0, 100),
        (2, "disliked"): (255, 255, 255),
    }
    for (row, group), colour in tiles.items():
        corner = place(row, group, 0)
        tile = page[corner.y + TILE // 2 : corner.y + TILE, corner.x : corner.x + TILE]
        assert (tile == colour).all(), (row, group)


def test_what_cannot_be_read_is_said_in_its_place_and_the_rest_is_shown(
    runs: list[ScoredFolder], tmp_path: Path
) -> None:
    def broken(user: str) -> History:
        own = history(user)
        lost = replace(own.liked[0], picture=replace(own.liked[0].picture, data=b""))
        return replace(own, liked=(lost, *own.liked[1:]))

    whole, damaged = (
        np.asarray(Image.open(draw_gallery(runs[0], one, tmp_path / "gallery.png"))) for one in (history, broken)
    )
    changed = (whole != damaged).any(axis=2)
    for row in range(3):
        corner = place(row, "liked", 0)
        assert changed[corner.y : corner.y + TILE, corner.x : corner.x + TILE].any()
        changed[corner.y : corner.y + TILE, corner.x : corner.x + TILE] = False
    assert not changed.any()


def test_small_pictures_are_enlarged_unsmoothed_and_large_ones_reduced() -> None:
    checker = Image.fromarray(np.indices((32, 32)).sum(axis=0).astype(np.uint8) % 2 * 255).convert("RGB")
    assert np.array_equal(np.asarray(fit(checker)), np.asarray(checker).repeat(4, axis=0).repeat(4, axis=1))
    wide = np.asarray(fit(Image.new("RGB", (512, 256), (1, 2, 3))))
    assert wide.shape == (TILE, TILE, 3)
    assert (wide[32:96] == (1, 2, 3)).all()
    assert (wide[:32] != (1, 2, 3)).any()


def test_users_are_taken_one_of_each_kind_in_turn() -> None:
    kinds = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "z", "f": "z"}
    assert choose_users(kinds, 4) == ["a", "b", "d", "e"]
    assert choose_users(kinds, 99) == ["a", "b", "c", "d", "e", "f"]


@pytest.mark.slow
def test_figure_is_written_twice_and_repeats_exactly(runs: list[ScoredFolder], tmp_path: Path) -> None:
    found: Comparison = compare(runs)
    png, pdf = draw_figure(found, tmp_path / "figure")
    with Image.open(png) as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert draw_figure(found, tmp_path / "again")[1].read_bytes() == pdf.read_bytes()


def test_figures_of_one_metric_and_of_long_names_cut_nothing(runs: list[ScoredFolder], tmp_path: Path) -> None:
    """Around what is drawn stays a white margin on every side."""
    long = build(tmp_path / "long", "a method of a very long name that is cut", 0.3)
    for metrics in (["utility"], None):
        png, _ = draw_figure(compare([long, *runs]), tmp_path / "figure", metrics=metrics)
        dark = np.asarray(Image.open(png).convert("L")) < 200
        margin = 4
        assert not any(edge.any() for edge in (dark[:margin], dark[-margin:], dark[:, :margin], dark[:, -margin:]))

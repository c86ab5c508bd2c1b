"""Figure and gallery: pixels at their places, files that repeat exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from prefbench.api import History
from prefbench.reports.table import figures
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


@pytest.mark.slow
def test_figures_of_one_metric_and_of_long_names_cut_nothing(runs: list[ScoredFolder], tmp_path: Path) -> None:
    """Around what is drawn stays a white margin on every side."""
    long = build(tmp_path / "long", "a method of a very long name that goes on below in a second line", 0.3)
    for metrics in (["utility"], None):
        png, _ = draw_figure(compare([long, *runs]), tmp_path / "figure", metrics=metrics)
        dark = np.asarray(Image.open(png).convert("L")) < 200
        margin = 4
        assert not any(edge.any() for edge in (dark[:margin], dark[-margin:], dark[:, :margin], dark[:, -margin:]))


def texts(comparison: Comparison, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[Text]:
    """Every visible text of a drawn figure with its place on the page."""
    drawn: list[Figure] = []

    def keep(figure: Figure, _: Path) -> list[Path]:
        drawn.append(figure)
        return []

    monkeypatch.setattr(figures, "save_figure", keep)
    draw_figure(comparison, folder / "figure", **options)
    canvas = FigureCanvasAgg(drawn[0])
    canvas.draw()
    shown = [axes for axes in drawn[0].axes if axes.get_visible()]
    found = [text for one in [*shown, *drawn[0].legends] for text in one.findobj(Text)]
    return [text for text in found if text.get_text().strip() and text.get_visible()]


def test_the_legend_names_what_occurs(
    runs: list[ScoredFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for some, absent in (
        ([runs[0], build(tmp_path / "b", "nearest", 0.3)], {"prompt-only", "inferred", "control"}),
        (runs[:2], {"inferred", "control"}),
        (runs, set()),
    ):
        named = {text.get_text() for text in texts(compare(some), tmp_path, monkeypatch)}
        assert not named & absent
        assert {"prompt-only", "inferred", "control", "method"} - absent <= {*named, *(run.method for run in some)}


def test_two_settings_of_one_method_have_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [{"liked_only": False, "negative": "average", "user_guidance": scale} for scale in (1.0, 2.0)]
    runs = [build(tmp_path / str(i), "ours", 0.2, spec={"parameters": own}) for i, own in enumerate(settings)]
    long = build(tmp_path / "long", "ours (liked_only=False, negative=average, user_guidance=3.0)", 0.1)
    names = " ".join(
        text.get_text().replace("\n", " ") for text in texts(compare([*runs, long]), tmp_path, monkeypatch)
    )
    for scale in ("1.0", "2.0", "3.0"):
        assert f"user_guidance={scale})" in names


def test_no_text_of_a_panel_lies_on_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"ann": float("nan"), "bob": None, "cyd": 0.2}
    runs = [build(tmp_path / name, name, nothing) for name in ("ours", "prompt-only")]
    boxes = {
        text.get_text(): text.get_window_extent()
        for text in texts(compare(runs), tmp_path, monkeypatch)
        if text.get_fontsize() in (7, 9)
    }
    for name, box in boxes.items():
        overlapped = [other for other, at in boxes.items() if other != name and box.overlaps(at)]
        assert not overlapped, (name, overlapped)


def test_panels_leave_as_few_holes_as_can_be() -> None:
    columns = {1: 1, 2: 2, 3: 3, 4: 4, 6: 3, 7: 4, 9: 3, 10: 2, 11: 3, 12: 3}
    assert {panels: figures._columns(panels) for panels in columns} == columns

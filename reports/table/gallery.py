"""One picture per run: for a dozen users their likes, their dislikes, and the images drawn for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from prefbench.api import History, Judgment, Sample, ScoredRun, UnreadableImageError, plain
from prefbench.files import atomic_file

from ..shared.labels import label_runs

TILE = 128
"""Pixels a side of a picture on the page; a multiple of 32, so that 32x32 pictures fill it exactly."""
GAP = 6
USERS = 12
"""Users on a page."""
_SHOWN = {"liked": 3, "disliked": 3, "drawn": 4}
"""Few enough for captions to stay legible where the page is reduced to the width of a paper."""
_LEFT, _TOP, _CAPTION, _BETWEEN, _MARGIN = 152, 132, 62, 30, 24
_INK, _SOFT, _RULE, _EMPTY = "#1a1a1a", "#666666", "#d4d4d4", "#f3f3f3"
_COLOURS = {"liked": "#0b6fae", "disliked": "#b5471b", "drawn": "#1a1a1a"}


@dataclass(frozen=True)
class Place:
    """Upper left corner of a tile."""

    x: int
    y: int


def place(row: int, group: str, index: int) -> Place:
    """The corner of a tile: the row of the user, the group `liked`, `disliked` or `drawn`, the index within it."""
    before = list(_SHOWN)[: list(_SHOWN).index(group)]
    x = _MARGIN + _LEFT + sum(_SHOWN[name] * (TILE + GAP) + _BETWEEN for name in before) + index * (TILE + GAP)
    return Place(x, _TOP + row * (TILE + _CAPTION))


def page_size(users: int) -> tuple[int, int]:
    """Width and height of the page for so many users."""
    return place(0, "drawn", _SHOWN["drawn"] - 1).x + TILE + _MARGIN, _TOP + users * (TILE + _CAPTION) + _MARGIN // 2


def draw_gallery(run: ScoredRun, history: Callable[[str], History], path: Path, *, users: int = USERS) -> Path:
    """Writes the gallery of a run as PNG. `history` gives the judgments of a user, as `Suite.history` does.

    Users are taken in the run's order, one of each kind in turn, whatever was drawn for them; of a user the first
    judgments and the first sample of the first cases are shown.
    """
    page_users = choose_users(run.kinds, users)
    page = Image.new("RGB", page_size(len(page_users)), "white")
    draw = ImageDraw.Draw(page)
    _headings(draw, run)
    for row, user in enumerate(page_users):
        own = history(user)
        _user(draw, row, user, run.kinds[user], own)
        for group, judgments in (("liked", own.liked), ("disliked", own.disliked)):
            _judged(page, row, group, judgments)
        _drawn(page, row, run, [s for s in run.samples if s.user == user and s.index == 0])
    with atomic_file(path) as temporary:
        page.save(temporary, format="PNG", compress_level=4)
    return path


def choose_users(kinds: Mapping[str, str], users: int = USERS) -> list[str]:
    """At most `users` users, one of each kind in turn, listed kind by kind."""
    by_kind: dict[str, list[str]] = {}
    for user, kind in kinds.items():
        by_kind.setdefault(kind, []).append(user)
    turns = sorted((turn, order) for order, names in enumerate(by_kind.values()) for turn in range(len(names)))
    groups = list(by_kind.values())
    return [groups[order][turn] for order, turn in sorted((order, turn) for turn, order in turns[:users])]


def fit(image: Image.Image) -> Image.Image:
    """An image in a tile: small ones enlarged by a whole factor without smoothing, larger ones reduced."""
    tile = Image.new("RGB", (TILE, TILE), _EMPTY)
    longest = max(image.size)
    if longest <= TILE:
        factor = TILE // longest
        scaled = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    else:
        size = (max(1, round(image.width * TILE / longest)), max(1, round(image.height * TILE / longest)))
        scaled = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    tile.paste(scaled, ((TILE - scaled.width) // 2, (TILE - scaled.height) // 2))
    return tile


def wrap(text: str, width: int, lines: int, face: ImageFont.FreeTypeFont) -> str:
    """The text in at most so many lines of so many pixels; an ellipsis ends what is cut."""
    wrapped: list[str] = []
    rest = plain(text)
    while rest and len(wrapped) < lines:
        last = len(wrapped) == lines - 1
        line = _fitting(rest, width, face, words=not last)
        rest = rest[len(line) :].lstrip()
        wrapped.append(line.rstrip())
    if rest:
        wrapped[-1] = _fitting(wrapped[-1], width - int(face.getlength("…")), face, words=False) + "…"
    return "\n".join(wrapped)


def _fitting(text: str, width: int, face: ImageFont.FreeTypeFont, *, words: bool) -> str:
    """The longest beginning of the text that fits, up to the end of a word where there is one."""
    end = len(text)
    while end > 1 and face.getlength(text[:end]) > width:
        end -= 1
    if end == len(text) or not words:
        return text[:end]
    space = text.rfind(" ", 0, end + 1)
    return text[:space] if space > 0 else text[:end]


@lru_cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and so looks the same everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _headings(draw: ImageDraw.ImageDraw, run: ScoredRun) -> None:
    title = f"{label_runs([run])[0]} on {run.spec['suite']}, {run.spec['split']} users"
    draw.text((_MARGIN, 18), plain(title, 75), fill=_INK, font=font(30, bold=True))
    whose = f" The method saw changed histories: {run.control}." if run.control else ""
    note = f"The first users of each kind and the first pictures of each list, none selected.{whose}"
    draw.text((_MARGIN, 58), plain(note, 150), fill=_SOFT, font=font(18))
    words = {"liked": "the user liked", "disliked": "the user disliked", "drawn": "drawn for the user, with its prompt"}
    for group, text in words.items():
        first, last = place(0, group, 0), place(0, group, _SHOWN[group] - 1)
        draw.text((first.x, _TOP - 36), text, fill=_COLOURS[group], font=font(20, bold=True))
        draw.line((first.x, _TOP - 7, last.x + TILE - 1, _TOP - 7), fill=_COLOURS[group], width=2)


def _user(draw: ImageDraw.ImageDraw, row: int, user: str, kind: str, history: History) -> None:
    corner = place(row, "liked", 0)
    if row:
        y = corner.y - 5
        draw.line((_MARGIN, y, page_size(1)[0] - _MARGIN, y), fill=_RULE)
    lines = [(user, font(18, bold=True), _INK), (kind, font(18), _INK)]
    lines += [(text, font(16), _SOFT) for text in (f"{len(history.liked)} liked", f"{len(history.disliked)} disliked")]
    y = corner.y + 4
    for text, face, colour in lines:
        wrapped = wrap(text, _LEFT - 12, 2, face)
        draw.multiline_text((_MARGIN, y), wrapped, fill=colour, font=face, spacing=3)
        y += 26 * (1 + wrapped.count("\n"))


def _judged(page: Image.Image, row: int, group: str, judgments: Sequence[Judgment]) -> None:
    corner = place(row, group, 0)
    if not judgments:
        ImageDraw.Draw(page).text((corner.x, corner.y + 4), "none", fill=_SOFT, font=font(18))
    for i, judgment in enumerate(judgments[: _SHOWN[group]]):
        _show(page, place(row, group, i), judgment.picture.load)


def _drawn(page: Image.Image, row: int, run: ScoredRun, samples: Sequence[Sample]) -> None:
    draw = ImageDraw.Draw(page)
    for i, sample in enumerate(samples[: _SHOWN["drawn"]]):
        corner = place(row, "drawn", i)
        if sample.image is None:
            _failed(draw, corner, sample.error or "unknown")
        else:
            _show(page, corner, partial(run.image, sample.image))
        caption = wrap(sample.prompt, TILE, 2, font(17))
        draw.multiline_text((corner.x, corner.y + TILE + 4), caption, fill=_INK, font=font(17), spacing=2)


def _show(page: Image.Image, corner: Place, load: Callable[[], Image.Image]) -> None:
    """A picture in its place, or why it cannot be read."""
    try:
        _paste(page, fit(load()), corner)
    except UnreadableImageError as error:
        _failed(ImageDraw.Draw(page), corner, f"unreadable: {error}")


def _failed(draw: ImageDraw.ImageDraw, corner: Place, error: str) -> None:
    x, y = corner.x, corner.y
    draw.rectangle((x, y, x + TILE - 1, y + TILE - 1), fill=_EMPTY, outline=_COLOURS["disliked"])
    text = "failed\n" + wrap(error, TILE - 12, 5, font(14))
    draw.multiline_text((x + 6, y + 6), text, fill=_COLOURS["disliked"], font=font(14), spacing=3)


def _paste(page: Image.Image, tile: Image.Image, corner: Place) -> None:
    page.paste(tile, (corner.x, corner.y))

"""Methods side by side: a row for each user, what it likes, then what each method drew for the same prompt."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from prefbench.api import PrefbenchError, Sample, ScoredRun, UnreadableImageError
from prefbench.api.near import unknown

from ..shared.figure_files import save_figure
from ..table.gallery import choose_users, fit
from .figures import PaperFigure
from .material import Material, Shown
from .style import SOFT, drawable, new_figure, styled

USERS = 6
"""Rows unless users are named."""
_APART, _LARGEST, _TOP, _GAP = 0.35, 0.8, 0.34, 0.06
"""Tiles between likes and drawings; inches of a tile at most, of the headings; share of a tile between two."""
_NARROW = 4.0
"""Inches of a figure below which there are fewer columns."""
_LINE = 8.4 / 72
"""Inches of a line of type."""


@dataclass(frozen=True)
class _Frame:
    """Inches: the figure, what names of users take, a side of a tile; and how many likes and methods there are."""

    inches: float
    users: int
    methods: int

    @property
    def side(self) -> float:
        return 0.62 if self.inches < _NARROW else 0.95

    @property
    def likes(self) -> int:
        return 2 if self.inches < _NARROW else 3

    @property
    def tile(self) -> float:
        return min(_LARGEST, (self.inches - self.side) / (self.likes + _APART + self.methods))

    @property
    def height(self) -> float:
        return _TOP + self.tile * self.users

    def liked(self, column: int) -> float:
        return self.side + column * self.tile

    def drawn(self, column: float) -> float:
        return self.side + (self.likes + _APART + column) * self.tile

    def letters(self, inches: float) -> int:
        """How many letters of 7 points there are to so many inches."""
        return max(6, int(inches * 72 / 3.4))


def pictures(material: Material, shown: Shown, folder: Path, inches: float, users: Sequence[str] = ()) -> PaperFigure:
    """Likes and drawings of users: those named, else one of each kind in turn.

    Of a user it is the first prompt that all methods drew, and its first sample.

    Raises:
        PrefbenchError: a user that is none of the runs'.
    """
    runs = dict(list(shown.runs.items())[: 6 if inches < _NARROW else 10])
    kinds = next(iter(runs.values())).kinds
    for user in users:
        if user not in kinds:
            raise PrefbenchError(unknown("user of these runs", user, list(kinds)))
    chosen = list(users) or choose_users(kinds, USERS)
    frame, history = _Frame(inches, len(chosen), len(runs)), shown.history()
    with styled():
        figure = new_figure(inches, frame.height)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, inches), ylim=(frame.height, 0))
        axes.set_axis_off()
        _headings(axes, frame, list(runs))
        for row, user in enumerate(chosen):
            top = _TOP + row * frame.tile
            case = _case(runs, user)
            prompt = next((sample.prompt for sample in case.values() if sample is not None), "")
            _name(axes, frame, (kinds[user], f"{drawable(user, 12)}: {drawable(prompt, 60)}"), top)
            for column, judgment in enumerate(history(user).liked[: frame.likes]):
                _show(axes, judgment.picture.load, (frame.liked(column), top), frame.tile)
            for column, (label, sample) in enumerate(case.items()):
                _show(axes, _loader(runs[label], sample), (frame.drawn(column), top), frame.tile)
        paths = save_figure(figure, folder / "pictures")
    return PaperFigure("pictures", _caption(material, users, len(shown.runs) - len(runs)), paths)


def _caption(material: Material, users: Sequence[str], left: int) -> str:
    how = "users that were named" if users else "one user of each kind in turn, in the order of the run"
    more = f" {left} more are left out." if left else ""
    return (
        f"{material.suite}, {material.split} users ({how}): pictures that a user likes, then what each method drew for "
        f"the same prompt and seed: the first prompt of the user that all methods drew, its first sample.{more}"
    )


def _case(runs: Mapping[str, ScoredRun], user: str) -> dict[str, Sample | None]:
    """The samples of the first case of a user that all runs drew, else of the first of any."""
    own = {label: {s.case: s for s in run.samples if s.user == user and s.index == 0} for label, run in runs.items()}
    cases = list(dict.fromkeys(case for samples in own.values() for case in samples))
    drawn = [case for case in cases if all(_is_drawn(samples.get(case)) for samples in own.values())]
    case = next(iter([*drawn, *cases]), "")
    return {label: samples.get(case) for label, samples in own.items()}


def _is_drawn(sample: Sample | None) -> bool:
    return sample is not None and sample.image is not None


def _headings(axes: Axes, frame: _Frame, labels: Sequence[str]) -> None:
    style: Any = {"ha": "center", "va": "baseline", "fontsize": 7, "linespacing": 0.95}
    axes.text(frame.liked(0) + frame.likes * frame.tile / 2, _TOP - 0.07, "likes", **style)
    for column, label in enumerate(labels):
        axes.text(frame.drawn(column + 0.5), _TOP - 0.07, _lines(label, frame.letters(frame.tile)), **style)


def _name(axes: Axes, frame: _Frame, texts: tuple[str, str], top: float) -> None:
    """The kind of a user, and below it user and prompt in as many lines as there is room for."""
    letters, room = frame.letters(frame.side), int((frame.tile - 0.17) / _LINE)
    axes.text(0.02, top + 0.1, drawable(texts[0], letters), fontsize=7, va="center")
    if room > 0:
        axes.text(0.02, top + 0.17, _lines(texts[1], letters, room), fontsize=7, va="top", linespacing=0.95, color=SOFT)


def _lines(text: str, letters: int, most: int = 2) -> str:
    lines = textwrap.wrap(drawable(text), letters) or [""]
    return "\n".join(lines[:most]) + ("…" if len(lines) > most else "")


def _show(axes: Axes, load: Callable[[], Image.Image] | None, place: tuple[float, float], tile: float) -> None:
    """A picture with its upper left corner at a place, or why there is none."""
    left, top = place
    gap = _GAP * tile / 2
    try:
        if load is not None:
            extent = (left + gap, left + tile - gap, top + tile - gap, top + gap)
            axes.imshow(np.asarray(fit(load())), extent=extent, interpolation="none", aspect="auto")
            return
        reason = "not drawn"
    except UnreadableImageError:
        reason = "unreadable"
    axes.text(left + tile / 2, top + tile / 2, reason, ha="center", va="center", fontsize=7, color=SOFT)


def _loader(run: ScoredRun, sample: Sample | None) -> Callable[[], Image.Image] | None:
    """What opens a drawing; None for one that failed or is not there."""
    return None if sample is None or sample.image is None else partial(run.image, sample.image)

"""The one style of all figures: size in inches as printed, type of 7 to 8 points, told apart in grey too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prefbench.api import TEXT_LIMIT, plain

from ..shared.copying import COPYING

DPI = 300
HONEST, CONTROL, SOFT, GRID = "#0b5ea8", "#8a8a8a", "#4d4d4d", "#e2e2e2"
_FAMILIES = ("STIXGeneral", "DejaVu Sans")
_STYLE: Any = {
    "font.family": list(_FAMILIES),
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "legend.frameon": False,
}


class Look(NamedTuple):
    """How one of several series is drawn."""

    colour: str
    marker: str
    line: Any


LOOKS: Sequence[Look] = (
    Look("#000000", "o", "-"),
    Look("#0b5ea8", "s", (0, (4, 1.5))),
    Look("#c8501e", "^", (0, (1, 1))),
    Look("#3fa37b", "D", (0, (5, 1, 1, 1))),
    Look("#7fb3d9", "v", (0, (2, 1))),
    Look("#e8c250", "P", (0, (6, 2))),
    Look("#8a5a9e", "X", (0, (3, 1, 1, 1, 1, 1))),
    Look("#5b5b5b", "*", (0, (1, 2))),
)
"""Colours that colour-blind readers tell apart; marker and line tell them apart in grey. Repeats from the ninth on."""


def look(index: int) -> Look:
    """The look of the series at a place."""
    return LOOKS[index % len(LOOKS)]


def drawable(text: object, limit: int = TEXT_LIMIT) -> str:
    """A text as the fonts of figures have it: one line, and the code point of what no font has, as in tables."""
    shown = plain(text, limit).replace(COPYING, "⋈")  # tables have the same sign
    return "".join(c if ord(c) in _letters() else f"[U+{ord(c):04X}]" for c in shown)


@cache
def _letters() -> frozenset[int]:
    files = [font_manager.findfont(family, fallback_to_default=False) for family in _FAMILIES]
    return frozenset(code for file in files for code in font_manager.get_font(file).get_charmap())


@contextmanager
def styled() -> Iterator[None]:
    """Within it figures are made and saved in the style."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches that lays itself out."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)  # type: ignore[union-attr,call-arg]
    return figure


def ruled(axes: Axes, axis: Any = "both") -> None:
    """Light lines behind the data."""
    axes.grid(axis=axis, color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)


def reach(value: float, low: float | None, high: float | None) -> tuple[float, float]:
    """How far an interval reaches down and up from its value; 0 without one."""
    return (0.0 if low is None else max(0.0, value - low), 0.0 if high is None else max(0.0, high - value))

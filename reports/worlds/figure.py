"""Ranks over worlds as lines: told apart by dash, mark and grey, so that a grey print shows the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prefbench.api import plain
from prefbench.files import atomic_file

from .schema import WorldsResult

_STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.bottom": False,
    "axes.spines.left": False,
    "text.parse_math": False,
}
_MARKS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_METHODS = ("#0b6fae", "#12355b", "#b5471b", "#5d8c3e", "#7a4b94")
_CONTROL = "#8a8a8a"
_SPREAD = 0.3
"""Width over which the intervals of a world are spread."""


def draw(result: WorldsResult, path: Path) -> None:
    """One column per world, one line per method at its rank; a thin bar spans the ranks that no test excludes."""
    worlds, labels = result["worlds"], list(result["methods"])
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(2.2 + 0.8 * len(worlds), 1.0 + 0.36 * len(labels)), layout="constrained")
        axes = figure.subplots()
        for i, label in enumerate(labels):
            _line(axes, result, label, i, _SPREAD * ((i + 0.5) / len(labels) - 0.5))
        axes.set_xlim(-0.35, len(worlds) - 0.65)
        axes.set_ylim(len(labels) + 0.5, 0.5)
        axes.set_xticks(range(len(worlds)), [plain(world["name"], 24).replace(" ", "\n") for world in worlds])
        axes.set_yticks(range(1, len(labels) + 1))
        axes.set_ylabel("rank by mean true utility")
        axes.tick_params(length=0)
        axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(loc="outside right center", frameon=False, handlelength=4)
        with atomic_file(path) as temporary:
            # Without the version of matplotlib, so that the same numbers give the same file.
            figure.savefig(temporary, dpi=200, format="png", metadata={"Software": None})


def _line(axes: Axes, result: WorldsResult, label: str, i: int, offset: float) -> None:
    """A method's line, with the interval of each rank at a place of its own."""
    control = result["methods"][label]["control"]
    colour = _CONTROL if control else _METHODS[i % len(_METHODS)]
    places = [world["order"][label] for world in result["worlds"]]
    across = [x + offset for x in range(len(places))]
    for x, place in zip(across, places, strict=True):
        axes.plot([x, x], [place["low"], place["high"]], color=colour, linewidth=0.9, alpha=0.55)
    axes.plot(
        across,
        [place["rank"] for place in places],
        color=colour,
        linestyle=_DASHES[i % len(_DASHES)],
        marker=_MARKS[i % len(_MARKS)],
        markersize=5.5,
        markerfacecolor="white" if control else colour,
        linewidth=1.4,
        label=plain(f"{label} (control)" if control else label, 40),
    )

"""The figure of the layer stage: how well each layer distinguishes users, and liked from disliked images."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prefbench.api import PrefbenchError
from prefbench.files import atomic_file
from prefbench.probing import LIKING_ACCURACY, VERIFICATION, ProbeRow

_PANELS: Mapping[str, tuple[str, str]] = {
    VERIFICATION: ("Inter-user: two histories, one user?", "verification AUC"),
    LIKING_ACCURACY: ("Intra-user: is this image liked?", "balanced accuracy"),
}
_LOOKS = (("#0b6fae", "o"), ("#b5471b", "s"), ("#3a7d44", "^"), ("#6a4c93", "D"))
"""Colour and marker of a pooling, distinct in grey print too."""
_SOFT = "#666666"
_FLOOR, _OTHER, _CHANCE = (0, (4, 2)), (0, (1, 1.5)), (0, (1, 0))
_STYLE: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False}


def draw_layers(rows: Sequence[ProbeRow], path: Path, *, choice: Mapping[str, Collection[int]] | None = None) -> Path:
    """Writes a PNG (200 dpi, 6.75 inches: a paper's two columns) of both accuracies over layers and returns its path.

    One panel per task, one line per pooling; whiskers are 95 % intervals over users. A thin line is chance, the dashed
    one the content floor, dotted ones the states that saw another user's history.

    Args:
        rows: those of `probe_users` and `probe_liking`; other tasks than `VERIFICATION` and `LIKING_ACCURACY` are not
            drawn.
        choice: layers to shade, by task.

    Raises:
        PrefbenchError: a task has no row, or there are more poolings than colours and markers.
    """
    poolings = sorted({row.pooling for row in rows})
    if lacking := [task for task in _PANELS if not any(row.task == task for row in rows)]:
        raise PrefbenchError(f"probing figure: no rows of the task {lacking[0]!r}")
    if len(poolings) > len(_LOOKS):
        raise PrefbenchError(f"probing figure: {len(poolings)} poolings, at most {len(_LOOKS)} can be distinguished")
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.75, 2.8), layout="constrained")
        for axes, task in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
            _panel(axes, task, [row for row in rows if row.task == task], poolings, (choice or {}).get(task, ()))
        marks = _marks(rows, poolings, shaded=any((choice or {}).values()))
        spaces: Any = {"handlelength": 1.8, "columnspacing": 1.3, "handletextpad": 0.5}
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=7, **spaces)
        with atomic_file(path) as temporary:
            # Without the version of matplotlib, so that the same numbers give the same file.
            figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
    return path


def _panel(axes: Axes, task: str, rows: Sequence[ProbeRow], poolings: Sequence[str], choice: Collection[int]) -> None:
    for layer in choice:
        axes.axvspan(layer - 0.5, layer + 0.5, color="#f1e9d2", linewidth=0, zorder=0)
    axes.axhline(0.5, color=_SOFT, linewidth=0.8, linestyle=_CHANCE, zorder=1)
    floors = {row.floor for row in rows if row.floor is not None}
    for floor in floors:
        axes.axhline(floor, color="#1a1a1a", linewidth=1, linestyle=_FLOOR, zorder=1)
    for position, pooling in enumerate(poolings):
        # Side by side, so that whiskers of one layer do not hide each other.
        shift = 0.16 * (position - (len(poolings) - 1) / 2)
        _line(axes, [row for row in rows if row.pooling == pooling], _LOOKS[position], shift)
    layers = sorted({row.layer for row in rows})
    axes.set_xticks(layers[:: 1 + len(layers) // 14])
    title, measure = _PANELS[task]
    counts = sorted({row.n for row in rows})
    users = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    axes.set_title(title, fontsize=8.5, fontweight="bold", loc="left")
    axes.set(xlabel=f"layer (0: embeddings); n = {users} users", ylabel=measure)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def _line(axes: Axes, rows: Sequence[ProbeRow], look: tuple[str, str], shift: float) -> None:
    colour, marker = look
    points = sorted((row.layer + shift, row.value, row) for row in rows if row.value is not None)
    x = [layer for layer, _, _ in points]
    axes.plot(
        x, [value for _, value, _ in points], color=colour, marker=marker, markersize=3.5, linewidth=1.2, zorder=3
    )
    for layer, _, row in points:
        if row.low is not None and row.high is not None:
            axes.plot([layer, layer], [row.low, row.high], color=colour, linewidth=1, zorder=2)
    other = [(layer, row.mismatched) for layer, _, row in points if row.mismatched is not None]
    if other:
        axes.plot(*zip(*other, strict=True), color=colour, linewidth=1, linestyle=_OTHER, zorder=2)


def _marks(rows: Sequence[ProbeRow], poolings: Sequence[str], *, shaded: bool) -> list[Line2D | Patch]:
    """The legend, once for both panels."""
    marks: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=f"{pooling} pooling")
        for pooling, (colour, marker) in zip(poolings, _LOOKS, strict=False)
    ]
    if any(row.mismatched is not None for row in rows):
        marks.append(Line2D([], [], color=_SOFT, linewidth=1, linestyle=_OTHER, label="another user's history"))
    if any(row.floor is not None for row in rows):
        marks.append(Line2D([], [], color="#1a1a1a", linewidth=1, linestyle=_FLOOR, label="content alone"))
    marks.append(Line2D([], [], color=_SOFT, linewidth=0.8, linestyle=_CHANCE, label="chance"))
    return [*marks, Patch(color="#f1e9d2", label="chosen")] if shaded else marks

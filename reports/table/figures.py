"""One figure of a comparison: methods by metrics, a dot with its interval each."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from prefbench.api import plain

from ..shared.cells import N, counts, metric_heading, metric_name, usual
from ..shared.figure_files import save_figure
from ..shared.frame import BASELINES, CEILING, GAP, WIN
from .compare import ComparedRow, Comparison
from .wins import EVEN

_HONEST, _CONTROL, _SOFT = "#0b6fae", "#9a9a9a", "#666666"
_REFERENCES: Mapping[str, tuple[str, tuple[int, int]]] = {
    **dict.fromkeys(BASELINES, ("#1a1a1a", (4, 3))),
    CEILING: ("#b5471b", (1, 2)),
}
_COLUMNS = (3, 4, 2)
"""Numbers of columns, of which the first that leaves the fewest holes is taken."""
_LETTERS = 32
"""Letters of a name on one line."""
_LINE, _MORE, _PANEL, _LETTER = 0.4, 0.15, 2.1, 0.075
"""Inches: height of a method's line, of each further line of its name; width of a panel, of a letter of a name."""
_ABOVE, _BETWEEN, _BELOW, _BESIDE = 0.45, 0.75, 0.65, 0.25
"""Inches around panels: for the first title; for ticks and a title; for ticks and the legend; between two columns."""
_LEGEND = 0.35
"""Inches that the legend takes more where it stands in three lines."""
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,
    "text.parse_math": False,
}


def draw_figure(comparison: Comparison, stem: Path, *, metrics: Sequence[str] | None = None) -> list[Path]:
    """Writes `<stem>.png` (200 dpi) and `<stem>.pdf` and returns their paths.

    One panel per metric (all that some run has a value of but the single groups, unless named), one line per run:
    honest methods above in their order of rank, controls below in grey. `prompt-only` and `inferred` also stand as
    vertical lines, in panels of win rates 0.5. Whiskers are the 95 % intervals. Below each name stands its n, below a
    dot its own where it differs.
    """
    names = list(metrics) if metrics is not None else _shown(comparison)
    labels = _lines(comparison)
    usual_counts = {label: usual(r.summary for n, r in comparison.of(label).items() if n in names) for label in labels}
    columns = _columns(len(names))
    rows = -(-len(names) // columns)
    with matplotlib.rc_context(_STYLE):
        ticks = [_tick(label, *usual_counts[label]) for label in labels]
        figure, panels = _grid(rows, columns, ticks)
        for axes, name in zip(panels.flat, names, strict=False):
            _panel(axes, comparison, usual_counts, name)
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        panels[0][0].set_yticks(range(len(labels)), ticks)
        panels[0][0].set_ylim(len(labels) - 0.4, -0.6)
        handles = _marks(comparison)
        ncols = len(handles) if columns > 1 else 2
        figure.legend(handles=handles, loc="lower center", ncols=ncols, frameon=False, fontsize=8)
        return save_figure(figure, stem)


def _shown(comparison: Comparison) -> list[str]:
    """The metrics with a panel of their own."""
    whole = [name for name in comparison.metrics if "/" not in name]
    valued = {row.summary.metric for row in comparison.rows if row.summary.value is not None}
    return [name for name in whole if name in valued] or whole


def _columns(panels: int) -> int:
    """How many columns so many panels stand in."""
    return min((n for n in _COLUMNS if n <= panels), key=lambda n: -panels % n, default=1)


def _grid(rows: int, columns: int, names: Sequence[str]) -> tuple[Figure, Any]:
    """A figure with its panels, laid out in inches: working the layout out takes as long as drawing it."""
    side = 0.2 + _LETTER * max(len(line) for name in names for line in name.split("\n"))
    panel = (_LINE + _MORE * max(name.count("\n") - 1 for name in names)) * len(names)
    width = side + columns * (_PANEL + _BESIDE)
    below = _BELOW + _LEGEND * (columns == 1)
    height = _ABOVE + rows * panel + (rows - 1) * _BETWEEN + below
    figure = Figure(figsize=(width, height), dpi=200)
    figure.subplots_adjust(
        left=side / width,
        right=1 - _BESIDE / width,
        top=1 - _ABOVE / height,
        bottom=below / height,
        wspace=_BESIDE / _PANEL,
        hspace=_BETWEEN / panel,
    )
    return figure, figure.subplots(rows, columns, sharey=True, squeeze=False)


def _lines(comparison: Comparison) -> list[str]:
    """Labels from the top: honest methods by rank, then controls."""
    controls = {row.label for row in comparison.rows if not row.ranked}
    honest = [label for label in comparison.runs if label not in controls]
    honest.sort(key=lambda label: comparison.ranks[label].rank if label in comparison.ranks else len(honest) + 1)
    return honest + [label for label in comparison.runs if label in controls]


def _panel(axes: Axes, comparison: Comparison, usual_counts: Mapping[str, tuple[str, int]], metric: str) -> None:
    rows = {label: comparison.of(label).get(metric) for label in usual_counts}
    _references(axes, metric, rows)
    # Set-level metrics stand on fewer samples than the line says: their panel says so once, a dot where it differs.
    own = usual(row.summary for row in rows.values() if row is not None)
    apart = own not in usual_counts.values()
    if apart and any(row is not None and row.summary.value is not None for row in rows.values()):
        place: Any = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 3), "textcoords": "offset points"}
        axes.annotate(f"n {own[0]}{_missing(own[1])}", **place, fontsize=7, color=_SOFT, va="bottom")
    of_wins = metric.startswith(WIN)
    for height, label in enumerate(usual_counts):
        if rows[label] is not None or not of_wins:
            absent = "not compared" if metric.startswith(GAP) else "not scored"
            _dot(axes, height, rows[label], own if apart else usual_counts[label], absent)
    head = next((row.summary for row in rows.values() if row is not None), None)
    # The panel of the scorer's own metric names the encoder of the win rates.
    title = metric if head is None else metric_heading(metric, head.direction, "") if of_wins else metric_name(head)
    title = plain(title)
    axes.set_title(title, fontsize=9, fontweight="bold", loc="left", pad=13)
    axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)


def _references(axes: Axes, metric: str, rows: Mapping[str, ComparedRow | None]) -> None:
    """Vertical lines: the frame's own values; of win rates what is alike."""
    if metric.startswith(WIN):
        axes.axvline(EVEN, color=_SOFT, linewidth=0.9, zorder=0)
        return
    for label, (colour, dashes) in _REFERENCES.items():
        row = rows.get(label)
        if row is not None and row.summary.value is not None:
            axes.axvline(row.summary.value, color=colour, linewidth=0.9, linestyle=(0, dashes), zorder=0)


def _dot(axes: Axes, height: int, row: ComparedRow | None, usual_counts: tuple[str, int], absent: str) -> None:
    """The dot and its whisker; a dash in words where there is no value."""
    if row is None or row.summary.value is None:
        reason = absent if row is None else f"no value, {row.summary.missing} missing"
        axes.text(0.02, height, reason, transform=axes.get_yaxis_transform(), color=_SOFT, fontsize=7, va="center")
        return
    summary, colour = row.summary, _HONEST if row.ranked else _CONTROL
    if summary.low is not None and summary.high is not None:
        axes.plot([summary.low, summary.high], [height, height], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot(row.summary.value, height, marker="o" if row.ranked else "s", markersize=5, color=colour)
    if (counts(summary), summary.missing) != usual_counts:
        missing = _missing(summary.missing) if summary.missing != usual_counts[1] else ""
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        place, note = (row.summary.value, height + 0.2), f"n {counts(summary)}{missing}"
        axes.annotate(note, place, color=_SOFT, fontsize=6, ha="center", va="top", bbox=box)


def _tick(label: str, n: str, missing: int) -> str:
    """The whole name, since settings of one method may differ in its end alone; below it what its numbers stand on."""
    lines = textwrap.wrap(plain(label), _LETTERS, break_on_hyphens=False)
    return "\n".join([*lines, f"n {n}{_missing(missing)}"])


def _missing(count: int) -> str:
    return f", {count} missing" if count else ""


def _marks(comparison: Comparison) -> list[Line2D]:
    """The legend of what occurs, once for all panels."""
    references = {name: style for name, style in _REFERENCES.items() if name in comparison.runs}
    lines = [Line2D([], [], color=c, linewidth=0.9, linestyle=(0, d), label=n) for n, (c, d) in references.items()]
    dots = {"method": (True, "o", _HONEST), "control": (False, "s", _CONTROL)}
    kinds = {row.ranked for row in comparison.rows}
    lines += [
        Line2D([], [], linestyle="", marker=marker, markersize=5, color=colour, label=name)
        for name, (ranked, marker, colour) in dots.items()
        if ranked in kinds
    ]
    return [*lines, Line2D([], [], linestyle="", label=plain(N))]

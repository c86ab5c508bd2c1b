"""Figures of rows: the headline with its intervals, preference against adherence; and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prefbench.api import SummaryRow

from ..shared.cells import metric_name
from ..shared.figure_files import save_figure
from ..shared.frame import CEILING, TRUE_ADHERENCE, headlines
from .layout import width
from .material import Curve, Curves, Material, Panel
from .style import CONTROL, HONEST, SOFT, drawable, look, new_figure, reach, ruled, styled

_LINE, _AROUND, _PANEL, _LEGEND, _NARROWEST = 0.165, 0.42, 1.45, 0.15, 1.33
"""Inches: height of a method's line, what stands around lines, height of a panel, of a legend; a panel's width."""


@dataclass(frozen=True)
class PaperFigure:
    """Files of a figure and its caption."""

    stem: str
    caption: str
    paths: Sequence[Path]


def headline(material: Material, folder: Path, inches: float) -> PaperFigure:
    """The metric of ranks, a line for each method: a dot with its interval."""
    metric = material.ranked_by
    rows = {label: material.of(label)[metric].summary for label in material.order if metric in material.of(label)}
    rows = {label: row for label, row in rows.items() if row.value is not None}
    with styled():
        figure = new_figure(inches, _AROUND + _LINE * max(3, len(rows)))
        axes = figure.subplots()
        for height, (label, row) in enumerate(rows.items()):
            _whisker(axes, row, height, ranked=label in material.ranked)
        names = [_short(f"{label} {material.marks.get(label, '')}".strip()) for label in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(drawable(metric_name(next(iter(rows.values())), won=False)))
        axes.axvline(0, color=SOFT, linewidth=0.6, zorder=0)
        ruled(axes, "x")
        paths = save_figure(figure, folder / "headline")
    text = (
        f"{material.suite}, {material.split} users: {metric}, mean over users with its 95 % interval. Round and dark: "
        "methods by rank; square and grey: controls, which are not ranked."
        + " Marks beside names: see the notes of the main table."
        * any(material.marks.get(label) for label in rows)
    )
    return PaperFigure("headline", text, paths)


def _whisker(axes: Axes, row: SummaryRow, height: int, *, ranked: bool) -> None:
    assert row.value is not None
    colour = HONEST if ranked else CONTROL
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [height, height], color=colour, linewidth=1.3, solid_capstyle="butt")
    axes.plot([row.value], [height], marker="o" if ranked else "s", markersize=4, color=colour, linestyle="")


def adherence_of(material: Material) -> str | None:
    """The metric of adherence that preference is drawn against: the truth where it is known; None without any."""
    questions = {row.summary.metric: row.summary.question for row in material.rows if row.summary.value is not None}
    names = [name for name in headlines(questions) if questions[name] == "adherence"]
    return TRUE_ADHERENCE if TRUE_ADHERENCE in questions else next(iter(names), None)


def tradeoff(material: Material, folder: Path, inches: float) -> PaperFigure | None:
    """What users prefer against what prompts ask for: honest methods, the ceiling, and intervals both ways."""
    adherence = adherence_of(material)
    if adherence is None:
        return None
    rows = {}
    for label in material.order:
        own = material.of(label)
        if (label in material.ranked or label == CEILING) and {adherence, material.ranked_by} <= own.keys():
            rows[label] = (own[adherence].summary, own[material.ranked_by].summary)
    with styled():
        figure = new_figure(inches, min(2.6, 0.8 * inches))
        axes = figure.subplots()
        for place, (label, (x, y)) in enumerate(rows.items()):
            _cross(axes, x, y, place, _short(label))
        x, y = next(iter(rows.values()))
        axes.set(xlabel=drawable(metric_name(x, won=False)), ylabel=drawable(metric_name(y, won=False)))
        ruled(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), handletextpad=0.2, borderaxespad=0)
        paths = save_figure(figure, folder / "tradeoff")
    text = (
        f"{material.suite}, {material.split} users: {material.ranked_by} (whose picture it is) against {adherence} "
        "(what the prompt asks for), means over users with 95 % intervals; up and to the right is better."
        + (f" {CEILING} is a control." if CEILING in rows else "")
    )
    return PaperFigure("tradeoff", text, paths)


def _cross(axes: Axes, x: SummaryRow, y: SummaryRow, place: int, label: str) -> None:
    if x.value is None or y.value is None:
        return
    own = look(place)
    xerr, yerr = ([[side] for side in reach(r.value or 0.0, r.low, r.high)] for r in (x, y))
    axes.errorbar(
        x.value, y.value, xerr=xerr, yerr=yerr, color=own.colour, marker=own.marker, linestyle="", elinewidth=0.8,
        label=label,
    )  # fmt: skip


def curves(drawn: Curves, folder: Path, inches: float) -> PaperFigure:
    """Curves with their intervals, panels side by side as far as they fit."""
    columns = min(len(drawn.panels), max(1, int(inches / _NARROWEST)))
    rows = -(-len(drawn.panels) // columns)
    names = list(dict.fromkeys(curve.name for panel in drawn.panels for curve in panel.curves if curve.name))
    with styled():
        height = rows * (_PANEL if len(drawn.panels) > 1 else 1.8) + 0.25 + _LEGEND * bool(names)
        figure = new_figure(inches, height)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels[len(drawn.panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(panels, drawn.panels, strict=False):
            _panel(axes, panel, drawn, names)
        figure.supxlabel(drawn.x, fontsize=8)
        figure.supylabel(drawn.y, fontsize=8)
        _legend(figure, panels[0], names)
        paths = save_figure(figure, folder / drawn.stem)
    return PaperFigure(drawn.stem, drawn.caption, paths)


def _panel(axes: Axes, panel: Panel, drawn: Curves, names: Sequence[str]) -> None:
    if panel.level is not None:
        axes.axhline(panel.level, color=SOFT, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
    for curve in panel.curves:
        _curve(axes, curve, names.index(curve.name) if curve.name else 0)
    axes.set_title(drawable(panel.title, 40), loc="left")
    places = sorted({point.x for curve in panel.curves for point in curve.points})
    if drawn.doubling:
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [f"{x:g}" for x in places])
        axes.minorticks_off()
    elif len(places) <= 8:
        axes.set_xticks(places, [f"{x:g}" for x in places])
    axes.yaxis.set_major_locator(MaxNLocator(4))
    ruled(axes)


def _curve(axes: Axes, curve: Curve, place: int) -> None:
    own = look(place)
    xs, ys = [point.x for point in curve.points], [point.value for point in curve.points]
    ends = [reach(point.value, point.low, point.high) for point in curve.points]
    yerr = list(zip(*ends, strict=True)) if ends else None
    axes.errorbar(
        xs, ys, yerr=yerr, color=own.colour, marker=own.marker, linestyle=own.line, elinewidth=0.7, capsize=1.5,
        markersize=3.5, label=drawable(curve.name, 40) or None,
    )  # fmt: skip


def _legend(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    if names:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(names)))


def _short(name: str) -> str:
    """A name of one line; `width` of layout knows how long that is in print."""
    text = drawable(name)
    while width(text, 7) > 130 and len(text) > 3:
        text = text.removesuffix("…")[:-1] + "…"
    return text

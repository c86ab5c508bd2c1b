"""The figures of a validation: response to strength, nuisances, false positives, number of pictures, methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from prefbench.api import plain
from prefbench.files import atomic_file

from .cells import compact, name_of
from .schema import LadderRow, Rate, ValidationResult

_BLUE, _ORANGE, _GREY, _BAND = "#0b6fae", "#b5471b", "#777777", "#dce9f2"
_WIDTH, _COLUMNS = 7.0, 4
"""Inches across a page of two columns; panels in a row."""
_STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}


def draw(result: ValidationResult, stem: Path) -> list[Path]:
    """Writes every figure as `<stem>.<name>.png` (200 dpi) and returns the paths."""
    figures = {"dose": _dose, "nuisances": _nuisances, "nulls": _nulls, "sizes": _sizes}
    if "of_runs" in result["parts"]:
        figures["methods"] = _methods
    paths = []
    for name, make in figures.items():
        with matplotlib.rc_context(_STYLE):
            path = stem.with_name(f"{stem.name}.{name}.png")
            with atomic_file(path) as temporary:
                # Without the version of matplotlib, so that the same numbers give the same file.
                make(result).savefig(temporary, format="png", dpi=200, metadata={"Software": None})
            paths.append(path)
    return paths


def _panels(names: Sequence[str], height: float) -> tuple[Figure, list[Axes]]:
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(_WIDTH, 0.3 + height * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        axes.set_title(plain(name, 40), fontsize=8, fontweight="bold", loc="left")
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, list(panels[: len(names)])


def _dose(result: ValidationResult) -> Figure:
    """One panel per metric: its value with interval at every strength."""
    doses = result["parts"]["dose"]
    figure, panels = _panels([name_of(result, name) for name in doses], 1.6)
    for axes, row in zip(panels, doses.values(), strict=True):
        values = {point["strength"]: point["value"] for point in row["points"] if point["value"] is not None}
        for point in row["points"]:
            if point["low"] is not None and point["high"] is not None:
                axes.plot([point["strength"]] * 2, [point["low"], point["high"]], color=_BLUE, linewidth=1.2)
        axes.plot(list(values), list(values.values()), marker="o", markersize=3.5, linewidth=1, color=_BLUE)
        if row["detected"] is not None:
            axes.axvline(row["detected"], color=_ORANGE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    figure.supxlabel("strength of personalisation (dashed: the smallest that is told from 0)", fontsize=8)
    return figure


def _nuisances(result: ValidationResult) -> Figure:
    """Effects in units as a map, metrics by nuisances; a frame around expectations that fail."""
    rows = result["parts"]["ladders"]["rows"]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    nuisances = list(dict.fromkeys(row["nuisance"] for row in rows))
    figure = Figure(figsize=(_WIDTH, 0.9 + 0.34 * len(metrics)), layout="constrained")
    axes = figure.subplots()
    effects = np.array([[np.nan if r["in_units"] is None else r["in_units"] for r in rows if r["metric"] == m]
                        for m in metrics])  # fmt: skip
    image = axes.imshow(effects, cmap="PuOr_r", vmin=-2, vmax=2, aspect="auto")
    for row in rows:
        _cell(axes, row, nuisances.index(row["nuisance"]), metrics.index(row["metric"]))
    axes.set_xticks(range(len(nuisances)), nuisances)
    axes.set_yticks(range(len(metrics)), [name_of(result, metric) for metric in metrics])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("effect of the strongest level in units; claim: + rise, − fall, = stay; framed: fails", fontsize=8,
                   loc="left")  # fmt: skip
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, extend="both")
    return figure


def _cell(axes: Axes, row: LadderRow, x: int, y: int) -> None:
    claim = {"rise": "+", "fall": "−", "stay": "=", "none": ""}[row["claim"]]
    value = "no value" if row["in_units"] is None else compact(row["in_units"], 2).replace("-", "−")
    dark = row["in_units"] is not None and abs(row["in_units"]) > 1.3
    axes.text(x, y, f"{value}  {claim}", ha="center", va="center", fontsize=7.5, color="white" if dark else "black")
    if row["verdict"] == "fails":
        axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, lw=1.6, ec="black"))


def _nulls(result: ValidationResult) -> Figure:
    """Left the rates of false positives with the band that is required, right the coverage of intervals."""
    parts = result["parts"]
    names = list(parts["identical"])
    figure = Figure(figsize=(_WIDTH, 0.9 + 0.36 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.axvspan(0.03, 0.07, color=_BAND, zorder=0)
    right.axvspan(0.93, 1.0, color=_BAND, zorder=0)
    for y, name in enumerate(names):
        _rate(left, parts["identical"][name], y - 0.22, _BLUE, "o")
        _rate(left, parts["identical_mixed"][name], y, _GREY, "D")
        _rate(left, parts["differing_by_prompt"][name], y + 0.22, _ORANGE, "s")
        _rate(right, parts["coverage"][name], y, _BLUE, "o")
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set_xlim(-0.003, max(0.08, left.get_xlim()[1]))
    left.set_xlabel("share of p < 0.05: circle identical methods,\ndiamond half copies, square differing by prompt")
    right.set_xlabel("share of 95 % intervals that hold the mean")
    return figure


def _rate(axes: Axes, share: Rate, y: float, colour: str, mark: str) -> None:
    if share["rate"] is None or share["low"] is None or share["high"] is None:
        return
    axes.plot([share["low"], share["high"]], [y, y], color=colour, linewidth=1.4)
    axes.plot(share["rate"], y, marker=mark, markersize=4.5, color=colour)


def _sizes(result: ValidationResult) -> Figure:
    """One panel per metric: mean and standard deviation over subsets, the limit, and half the gap about it."""
    curves = {name: row for name, row in result["parts"]["sizes"].items() if row["points"]}
    figure, panels = _panels([name_of(result, name) for name in curves], 1.6)
    for axes, row in zip(panels, curves.values(), strict=True):
        n, mean, sd = zip(*((point["n"], point["mean"], point["sd"]) for point in row["points"]), strict=True)
        if row["limit"] is not None:
            if row["gap"] is not None:
                half = abs(row["gap"]) / 2
                axes.axhspan(row["limit"] - half, row["limit"] + half, color=_BAND, zorder=0)
            axes.axhline(row["limit"], color=_GREY, linewidth=0.8)
        axes.errorbar(n, mean, yerr=sd, marker="o", markersize=3.5, linewidth=1, capsize=2, color=_BLUE)
        axes.set_xscale("log")
        axes.set_xticks(n, [str(size) if i % 2 == 0 else "" for i, size in enumerate(n)])
        axes.minorticks_off()
    figure.supxlabel("pictures (line: limit; band: half of what strength 0.5 scores more than 0)", fontsize=8)
    return figure


_MARKED: Mapping[str, tuple[str, str]] = {
    "ours": ("D", _BLUE),
    "copy": ("s", _ORANGE),
    "truth": ("^", "#1a1a1a"),
    "ideal": ("*", "#1a1a1a"),
    "prompt-only": ("v", "#1a1a1a"),
}
"""Methods and controls with marks of their own."""


def _methods(result: ValidationResult) -> Figure:
    """One panel per metric: every real run's value against its true utility."""
    runs = result["parts"]["of_runs"]
    names = [n for n in next(iter(runs["methods"].values())) if n != "utility" and n in result["metrics"]]
    figure, panels = _panels([name_of(result, name) for name in names], 1.8)
    for axes, name in zip(panels, names, strict=True):
        for label, row in runs["methods"].items():
            value, utility = row[name], row["utility"]
            if value is not None and utility is not None:
                mark, colour = _MARKED.get(label, ("o", "#9a9a9a"))
                axes.plot(utility, value, linestyle="", marker=mark, markersize=5, color=colour)
        tau = runs["tau"][name]["value"] if name in runs["tau"] else None
        if tau is not None:
            axes.set_xlabel(f"tau {compact(tau, 2)}", fontsize=7.5, color=_GREY)
        axes.margins(x=0.1, y=0.12)
    marks = {**_MARKED, "others": ("o", "#9a9a9a")}
    handles = [Line2D([], [], linestyle="", marker=m, markersize=5, color=c, label=n) for n, (m, c) in marks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=6, frameon=False, fontsize=8)
    figure.supxlabel("true utility of methods and controls", fontsize=8)
    return figure

"""The page, table and figure of an ablation, from its stored result and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prefbench.api import Cells, Grid, fixed
from prefbench.files import atomic_file
from prefbench.stats.trust import are_few, few_groups_sentence
from prefbench.training.variants import WHOLE

from ..shared.cells import DASH, p_text
from ..shared.escape import markdown
from ..shared.grid import to_markdown
from ..shared.numbers import Numbers
from ..shared.published import age
from .schema import AblationResult, VariantCell, VariantRow

_CURVES = ("user scale", "user guidance")
"""Groups whose variants are numbers: drawn as curves, the whole method among them by its own number."""
_OWN: Any = {"marker": "o", "markersize": 8, "markerfacecolor": "none", "color": "#b5471b", "linestyle": "none"}
_HEAD = """# What each part of `{method}` is worth

Generated from `{file}`; do not edit.

{n} {suite} users of the split {split}, {samples} a case, {backbone}. A cell is the mean over users with its 95 %
interval; below it stands the paired difference to the whole method with its interval, and the p value of no
difference, adjusted over the rows (Holm).
Variants that were trained, the whole method among them, saw {seen} each, on the same language model, layers and
histories; the others draw with the weights of this whole method.

    {command}
"""


_SEEDS = """Every training was made {seeds} times, with as many seeds. A cell is the mean over these; its interval and p
value are for other users and other seeds.
"""


def render(result: AblationResult, stem: str) -> str:
    """The page of one method."""
    rows = result["rows"]
    training = ", ".join(f"{value:,} {name}" for name, value in result["training"].items())
    head = _HEAD.format(
        method=markdown(result["method"]),
        file=f"results/ablation/{stem}.json",
        n=rows[0]["metrics"]["utility"]["n_users"],
        samples=f"{result['samples_per_case']} sample{'s' if result['samples_per_case'] > 1 else ''}",
        backbone=markdown(result["backbone"]),
        suite=markdown(result["suite"]),
        split=markdown(result["split"]),
        seen=training,
        command=result["command"],
    )
    if (seeds := result.get("seeds", 1)) > 1:
        head = f"{head}\n{_SEEDS.format(seeds=seeds)}"
    figure = f"![Curves of preference against prompt fidelity]({stem}.png)\n"
    return "\n".join([head, *filter(None, [age(result["versions"])]), to_markdown(grid(result)), figure])


def grid(result: AblationResult) -> Grid:
    """One row per variant, one section per group."""
    rows = result["rows"]
    metrics = list(rows[0]["metrics"])
    sections = [
        [(f"{group}: {row['name']}" if group != WHOLE else WHOLE, *_cells(row, metrics)) for row in members]
        for group, members in groupby(rows, key=lambda row: str(row["group"]))
    ]
    few = any(are_few(cell["n_users"], cell["n_prompts"]) for row in rows for cell in row["metrics"].values())
    notes = [f"All intervals stand on few: {few_groups_sentence()}"] * few
    return Grid(f"ablations of {result['method']}", ("variant", *metrics), sections, notes)


def draw(result: AblationResult, path: Path) -> None:
    """Preference against prompt fidelity, one curve for each parameter that was swept."""
    with matplotlib.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(3.4 * len(_CURVES), 2.8), layout="constrained")
        panels = figure.subplots(1, len(_CURVES), sharex=True, sharey=True, squeeze=False)[0]
        for axes, group in zip(panels, _CURVES, strict=True):
            _curve(axes, result, group)
        panels[0].set_ylabel("utility, mean and 95 % interval")
        with atomic_file(path) as temporary:
            # Without the version of matplotlib, so that the same numbers give the same file.
            figure.savefig(temporary, dpi=200, format="png", metadata={"Software": None})


def _curve(axes: Axes, result: AblationResult, group: str) -> None:
    rows = [row for row in result["rows"] if row["group"] == group]
    whole = result["rows"][0]
    key = group.replace(" ", "_")
    own = result["defaults"][key]
    points = sorted([(float(row["parameters"][key]), row) for row in rows] + [(float(own), whole)], key=lambda p: p[0])
    x, y = ([_ends(row["metrics"][name]) for _, row in points] for name in ("prompt-fidelity", "utility"))
    xs, ys = ([value for value, _, _ in ends] for ends in (x, y))
    yerr = [[value - low for value, low, _ in y], [high - value for value, _, high in y]]
    axes.errorbar(xs, ys, yerr=yerr, marker="o", markersize=3.5, linewidth=1, capsize=2, color="#0b6fae")
    for (value, _), left, height in zip(points, xs, ys, strict=True):
        axes.annotate(f"{value:g}", (left, height), textcoords="offset points", xytext=(-4, 4), fontsize=7, ha="right")
    own_x, own_y = (_ends(whole["metrics"][name])[0] for name in ("prompt-fidelity", "utility"))
    axes.plot(own_x, own_y, **_OWN)
    axes.set(xlabel="prompt fidelity", title=f"{group} (ring: {own:g}, the whole method's)")
    axes.grid(alpha=0.25)


def _ends(numbers: Numbers) -> tuple[float, float, float]:
    """Value, low and high; NaN, which is not drawn, for none."""
    value, low, high = (float("nan") if n is None else n for n in (numbers["value"], numbers["low"], numbers["high"]))
    return value, low, high


def _cells(row: VariantRow, metrics: Sequence[str]) -> Cells:
    return tuple(_cell(row["metrics"][metric]) for metric in metrics)


def _cell(cell: VariantCell) -> str:
    lines = [_number(cell)]
    difference = cell.get("difference")
    if difference is not None:
        sign = "+" if (difference["value"] or 0) > 0 else ""
        lines.append(f"{sign}{_number(difference)}")
        lines.append(p_text(difference.get("p_holm")))
    return "\n".join(lines)


def _number(numbers: Numbers) -> str:
    if numbers["value"] is None:
        return DASH
    ends = "" if numbers["low"] is None else f" [{fixed(numbers['low'], 3)}, {fixed(numbers['high'], 3)}]"
    return f"{fixed(numbers['value'], 3)}{ends}"

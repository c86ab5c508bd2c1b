"""Ablations: results of `prefbench ablate` as committed JSON; a page and a figure rendered from them and nothing else.

`python -m prefbench.reports.ablation.page` writes them; with `--check` it fails where a page is not up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prefbench.api import Cells, Grid, PrefbenchError
from prefbench.files import atomic_file, write_atomic
from prefbench.training.variants import WHOLE

from ..shared.cells import DASH
from ..shared.escape import markdown, slug
from ..shared.grid import to_markdown
from ..shared.published import portable
from .measure import Result

FOLDER = Path(__file__).resolve().parents[2] / "results" / "ablation"
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


def publish(result: Result, folder: Path = FOLDER) -> list[Path]:
    """Writes the figure, the data and the page, in one folder under one name; returns their paths."""
    stem = stem_of(result)
    stored = result | {"command": portable(result["command"])}
    page, paths = render(stored), [folder / f"{stem}.{kind}" for kind in ("png", "json", "md")]
    folder.mkdir(parents=True, exist_ok=True)
    draw(stored, paths[0])
    write_atomic(paths[1], json.dumps(stored, indent=1) + "\n")
    write_atomic(paths[2], page)
    return paths


def stem_of(result: Result) -> str:
    """The name of a result's files: one method on one suite and backbone."""
    return ".".join(slug(str(result[key])) for key in ("method", "suite", "backbone"))


def render(result: Result) -> str:
    """The page of one method."""
    rows = result["rows"]
    seen = ", ".join(f"{value:,} {name}" for name, value in result["training"].items())
    head = _HEAD.format(
        method=markdown(result["method"]),
        file=f"results/ablation/{stem_of(result)}.json",
        n=rows[0]["metrics"]["utility"]["n_users"],
        samples=f"{result['samples_per_case']} sample{'s' if result['samples_per_case'] > 1 else ''}",
        backbone=markdown(result["backbone"]),
        suite=markdown(result["suite"]),
        split=markdown(result["split"]),
        seen=seen,
        command=result["command"],
    )
    figure = f"![Curves of preference against prompt fidelity]({stem_of(result)}.png)\n"
    return "\n".join([head, to_markdown(grid(result)), figure])


def grid(result: Result) -> Grid:
    """A row a variant, a section a group."""
    rows: Sequence[Mapping[str, Any]] = result["rows"]
    metrics = list(rows[0]["metrics"])
    sections = [
        [(f"{group}: {row['name']}" if group != WHOLE else WHOLE, *_cells(row, metrics)) for row in members]
        for group, members in groupby(rows, key=lambda row: str(row["group"]))
    ]
    return Grid(f"ablations of {result['method']}", ("variant", *metrics), sections)


def draw(result: Result, path: Path) -> None:
    """Preference against prompt fidelity, a curve for each parameter that was swept."""
    with matplotlib.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(3.4 * len(_CURVES), 2.8), layout="constrained")
        panels = figure.subplots(1, len(_CURVES), sharex=True, sharey=True, squeeze=False)[0]
        for axes, group in zip(panels, _CURVES, strict=True):
            _curve(axes, result, group)
        panels[0].set_ylabel("utility, mean and 95 % interval")
        with atomic_file(path) as temporary:
            # Without the version of matplotlib, so that the same numbers give the same file.
            figure.savefig(temporary, dpi=200, format="png", metadata={"Software": None})


def _curve(axes: Axes, result: Result, group: str) -> None:
    rows = [row for row in result["rows"] if row["group"] == group]
    whole = result["rows"][0]
    key = group.replace(" ", "_")
    own = result["defaults"][key]
    points = sorted([(float(row["parameters"][key]), row) for row in rows] + [(float(own), whole)], key=lambda p: p[0])
    x, y = ([row["metrics"][name] for _, row in points] for name in ("prompt-fidelity", "utility"))
    xs, ys = ([cell["value"] for cell in cells] for cells in (x, y))
    reach = [[c["value"] - c["low"] for c in y], [c["high"] - c["value"] for c in y]]
    axes.errorbar(xs, ys, yerr=reach, marker="o", markersize=3.5, linewidth=1, capsize=2, color="#0b6fae")
    for (value, _), left, height in zip(points, xs, ys, strict=True):
        axes.annotate(f"{value:g}", (left, height), textcoords="offset points", xytext=(-4, 4), fontsize=7, ha="right")
    axes.plot(whole["metrics"]["prompt-fidelity"]["value"], whole["metrics"]["utility"]["value"], **_OWN)
    axes.set(xlabel="prompt fidelity", title=f"{group} (ring: {own:g}, the whole method's)")
    axes.grid(alpha=0.25)


def _cells(row: Mapping[str, Any], metrics: Sequence[str]) -> Cells:
    return tuple(_cell(row["metrics"][metric]) for metric in metrics)


def _cell(found: Mapping[str, Any]) -> str:
    lines = [_number(found)]
    difference = found.get("difference")
    if difference is not None:
        sign = "+" if (difference["value"] or 0) > 0 else ""
        lines.append(f"{sign}{_number(difference)}")
        p = difference.get("p_holm")
        lines.append(f"p {DASH}" if p is None else "p < 0.001" if p < 0.001 else f"p {p:.3f}")
    return "\n".join(lines)


def _number(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return DASH
    reach = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['value']:.3f}{reach}"


def load_results(folder: Path = FOLDER) -> list[Result]:
    """Every committed result. Raises `PrefbenchError` naming the file that cannot be read."""
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            content: Result = json.loads(path.read_text(encoding="utf-8"))
            render(content)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise PrefbenchError(f"{path} is no ablation ({type(error).__name__}: {error})") from error
        results.append(content)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes pages and figures, or with `--check` only compares the pages; 1 where one is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m prefbench.reports.ablation.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is not up to date")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    stale = []
    for result in load_results(options.folder):
        page, figure = (options.folder / f"{stem_of(result)}.{kind}" for kind in ("md", "png"))
        if not options.check:
            publish(result, options.folder)
        elif not page.is_file() or page.read_text(encoding="utf-8") != render(result):
            stale.append(page.name)
        elif not figure.is_file():
            stale.append(figure.name)
    if stale:
        sys.stderr.write(f"{', '.join(stale)} not up to date: run python -m prefbench.reports.ablation.page\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The table of attacks as a page, a grid and a figure: rows are attackers, columns are metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from prefbench.api import Cells, Grid, plain
from prefbench.files import atomic_file

from ..shared.cells import DASH, WON, metric_heading, number
from ..shared.escape import markdown
from ..shared.frame import GAP
from ..shared.grid import to_markdown
from ..shared.numbers import Numbers
from ..shared.published import age
from .attackers import GAIN, gain, outranking, uncaught
from .schema import AttackCell, Attacker, AttackResult, MetricRecord, Outcome

MARKS: Mapping[Outcome, str] = {"beats": "●", "ahead": "○", "behind": ""}
_COLOURS: Mapping[Outcome, str] = {"beats": "#e08a6a", "ahead": "#f5dcc8", "behind": "#ffffff"}
_BEST = "best honest method"
_NOTES = (
    "● better than the best honest method beyond chance: the 95 % interval of the paired difference excludes 0; for "
    "metrics over sets the two intervals do not meet. ○ better, not told apart.",
    f"{WON} the metric's card names controls that can win it.",
)
_HEAD = """# Which metric each attacker fools

Generated from `results/attacks/{stem}.json`; do not edit.

{users} {suite} users of the split {split}, {samples} sample(s) a case, {backbone}; honest methods: {honest}. A cell is
the mean over users with its 95 % interval. An attacker does not do what is asked and is never ranked: a column that it
leads must be read beside one that it does not.
"""


def render(result: AttackResult, stem: str) -> str:
    """The page."""
    best = next(iter(result["best"].values()))
    head = _HEAD.format(
        stem=stem,
        users=best["n_users"],
        suite=markdown(result["suite"]),
        split=markdown(result["split"]),
        samples=result["samples_per_case"],
        backbone=markdown(result["backbone"]),
        honest=markdown(", ".join(result["honest"])),
    )
    attacks = [
        f"- {markdown(row['method'])}: {markdown(row['attack'])} (`{row['command']}`)" for row in result["attackers"]
    ]
    figure = f"\n![Attackers and the metrics that they win]({stem}.png)\n"
    return "\n".join(
        [
            head,
            *filter(None, [age(result["versions"])]),
            *_headline(result),
            *_caught(result),
            to_markdown(grid(result)),
            *attacks,
            figure,
        ]
    )


def grid(result: AttackResult) -> Grid:
    """One row per attacker, then the value and name of the best honest method in each metric."""
    metrics = list(result["metrics"])
    heads = [_heading(name, result["metrics"][name]) for name in metrics]
    told = any("audit" in row for row in result["attackers"])  # results of before 0.3 say nothing of audits
    rows = [
        (row["method"], *[_audit(row)] * told, *[_cell(row["cells"].get(name)) for name in metrics])
        for row in result["attackers"]
    ]
    best: Cells = (
        _BEST,
        *[""] * told,
        *[f"{_value(result['best'][name])}\n{result['best'][name]['method']}" for name in metrics],
    )
    return Grid(
        "attackers and the metrics that they win", ("attacker", *["audit"] * told, *heads), [rows, [best]], _NOTES
    )


def draw(result: AttackResult, path: Path) -> None:
    """The grid as a picture: coloured where an attacker is ahead."""
    metrics, rows = list(result["metrics"]), result["attackers"]
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(figsize=(1.6 + 1.05 * len(metrics), 0.7 + 0.32 * (len(rows) + 1)), layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(0, len(metrics)), ylim=(len(rows) + 1, 0), xticks=[i + 0.5 for i in range(len(metrics))])
        axes.set_yticks([i + 0.5 for i in range(len(rows) + 1)], [plain(r["method"]) for r in rows] + [_BEST])
        axes.set_xticklabels([_heading(name, result["metrics"][name]) for name in metrics])
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        for j, name in enumerate(metrics):
            for i, cell in enumerate([row["cells"].get(name) for row in rows]):
                colour = _COLOURS[cell["verdict"]] if cell else "#eeeeee"
                axes.fill_between([j, j + 1], i, i + 1, facecolor=colour, edgecolor="#bbbbbb", linewidth=0.5)
                text = f"{number(cell['value'] or 0.0)} {MARKS[cell['verdict']]}".strip() if cell else DASH
                axes.text(j + 0.5, i + 0.5, text, ha="center", va="center")
            axes.text(j + 0.5, len(rows) + 0.5, number(result["best"][name]["value"] or 0.0), ha="center", va="center")
        with atomic_file(path) as temporary:
            # Without the version of matplotlib, so that the same numbers give the same file.
            figure.savefig(temporary, dpi=200, format="png", metadata={"Software": None})


def _heading(name: str, metric: MetricRecord) -> str:
    return metric_heading(name, metric["direction"], metric.get("extractor", "")) + (WON if metric["won_by"] else "")


def _cell(cell: AttackCell | None) -> str:
    if cell is None:
        return f"{DASH} (not scored)"
    first, *rest = _value(cell).split("\n")
    return "\n".join([f"{first} {MARKS[cell['verdict']]}".strip(), *rest])


def _audit(row: Attacker) -> str:
    """The checks that caught an attacker, `clean` where none did."""
    audit = row.get("audit")
    return f"{DASH} (not audited)" if audit is None else ", ".join(audit["failed"]) or "clean"


def _value(numbers: Numbers) -> str:
    value, low, high = numbers["value"] or 0.0, numbers["low"], numbers["high"]
    if low is None or high is None:
        return f"{number(value)}\n[no interval]"
    return f"{number(value)}\n[{number(low, value)}, {number(high, value)}]"


def _headline(result: AttackResult) -> list[str]:
    """Who leads the headline, where there is one, and which attackers stand above whom."""
    headline = result["headline"]
    if headline is None:
        return []
    best, above = result["best"][headline]["method"], outranking(result)
    leaders = f"{', '.join(above)} stand above every honest method" if above else "no attacker stands above it"
    cells = {row["method"]: row["cells"].get(headline) for row in result["attackers"]}
    partly = [f"{name} above {', '.join(cell['above'])}" for name, cell in cells.items() if cell and cell["above"]]
    others = f" Attackers above some honest method: {markdown('; '.join(partly))}." if partly else ""
    return [f"The headline is {markdown(headline)}. Its best honest method is {markdown(best)}; {leaders}.{others}\n"]


def _caught(result: AttackResult) -> list[str]:
    """Which attackers win something and pass the audit; nothing where no result says what audits found."""
    audited = [row for row in result["attackers"] if row.get("audit") is not None]
    if not audited or result["headline"] != GAP:
        return []
    won = [row for row in audited if (gain(row) or 0.0) > GAIN]
    missed = [f"{row['method']} ({number(gain(row) or 0.0)})" for row in uncaught(result)]
    told = f"what the audit does not catch: {', '.join(missed)}" if missed else "the audit catches every one of them"
    absent = [row["method"] for row in result["attackers"] if row.get("audit") is None]
    others = f" Not audited: {', '.join(absent)}." if absent else ""
    text = f"{len(won)} of {len(audited)} audited attackers close more than {GAIN:g} of the gap; {told}.{others}"
    return [markdown(text) + "\n"]

"""Cells of comparisons: names with their marks, numbers beside those of other runs, and the lines that explain them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefbench.api.runs import is_given

from ..shared.cells import DASH, p_text, stacked
from ..shared.frame import BASELINE, UTILITY, WIN
from .compare import ComparedRow, Comparison
from .wins import UNPROVEN, given_note, lacking_note, unproven_notes, win_notes


def name_cell(comparison: Comparison, label: str) -> str:
    """The label, marked where the method does not beat the crowd and its own mismatched control."""
    return f"{label} {UNPROVEN}" if comparison.unbeaten.get(label) else label


def value_cell(rows: Mapping[str, ComparedRow], name: str, stands_on: tuple[str, int]) -> str:
    """A number of a run as it stands among others; of a win rate with its p value, and none over itself."""
    row = rows.get(name)
    if row is None and name.startswith(WIN):
        return DASH
    tested = row is not None and row.difference is None and row.p is not None
    p = [p_text(row.p_holm)] if tested and row is not None else []
    return "\n".join([stacked(row.summary if row else None, stands_on), *p])


def rank_cell(comparison: Comparison, label: str) -> str:
    """The rank with its interval; empty for what is not ranked."""
    rank = comparison.ranks.get(label)
    return f"{rank.rank} [{rank.low}, {rank.high}]" if rank else ""


def difference_heading(comparison: Comparison, label: str, gap: str) -> list[str]:
    """The heading of a run's differences and p values; of p values alone, or none, where there are no others."""
    rows = comparison.of(label).values()
    if any(row.difference for row in rows):
        return [f"− {comparison.baseline}{gap}[95 %], p"]
    return ["p"] * any(row.p is not None for row in rows)


def tested_cell(row: ComparedRow, stands_on: tuple[str, int]) -> str:
    """The difference to the baseline with its p value on one line; of a win rate, which is no difference, p alone."""
    if row.difference is None:
        return "" if row.p is None else p_text(row.p_holm)
    return difference_cell(row, stands_on).replace("\n", " ")


def difference_cell(row: ComparedRow | None, usual_counts: tuple[str, int]) -> str:
    """The difference to the baseline, its interval, and its p value below."""
    if row is None or row.difference is None:
        return f"{DASH} (not compared)"
    value, *rest = stacked(row.difference, usual_counts).split("\n")
    sign = "+" if (row.difference.value or 0) > 0 else ""
    return "\n".join([f"{sign}{value}", *rest, p_text(row.p_holm)])


def win_lines(comparison: Comparison, shown: Sequence[str]) -> list[str]:
    """What win rates are, whom they say nothing good of, what of the frame is missing."""
    lacking = {
        name: command for name, command in comparison.lacking.items() if not (name == BASELINE and UTILITY in shown)
    }
    headed = comparison.own is not None and UTILITY not in shown
    given = [label for label, run in comparison.runs.items() if headed and is_given(run.spec)]
    return [
        *win_notes(comparison.own, shown),
        *unproven_notes(comparison.unbeaten),
        *lacking_note(lacking if comparison.own else {}),
        *given_note(given),
    ]


def rank_note(comparison: Comparison) -> list[str]:
    """What ranks are by, where that is not the known truth."""
    by = comparison.ranked_by
    return [f"rank: by {by} among the methods that it may rank."] if comparison.ranks and by != UTILITY else []

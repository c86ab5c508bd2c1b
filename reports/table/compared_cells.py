"""Cells of comparisons: names with their marks, numbers beside those of other runs, and the lines that explain them."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import ALL, ScoredRun
from prefbench.api.runs import is_given

from ..shared.cells import DASH, MIXED, absence, p_text, stacked
from ..shared.copying import COPYING, copying_notes, nearness
from ..shared.frame import BASELINE, BASELINES, CEILING, GAP, STATED, UTILITY, WIN, same_origin
from ..shared.meaning import gap_note
from ..shared.notes import mixed_note
from .compare import ComparedRow, Comparison
from .wins import UNPROVEN, lacking_note, unproven_notes, win_notes


def name_cell(comparison: Comparison, label: str) -> str:
    """The label, marked where the method does not beat the crowd and its own mismatched control, or where it copies."""
    marks = UNPROVEN * bool(comparison.unbeaten.get(label)) + COPYING * (near(comparison)[label] is not None)
    return f"{label} {marks}".rstrip()


def near(comparison: Comparison) -> dict[str, float | None]:
    """How near the pictures of each run lie to those that its method was shown, where that is as near as copies."""
    return {
        label: nearness({row.metric: row for row in run.summary() if row.kind == ALL})
        for label, run in comparison.runs.items()
    }


def value_cell(comparison: Comparison, label: str, name: str, stands_on: tuple[str, int]) -> str:
    """A number of a run as it stands among others; of a win rate with its p value, and none over itself."""
    row = comparison.of(label).get(name)
    if row is None and name.startswith((WIN, GAP)):
        return _not_compared(comparison.runs[label], name)
    tested = row is not None and row.difference is None and row.p is not None
    p = [p_text(row.p_holm)] if tested and row is not None else []
    value, *rest = stacked(row.summary if row else None, stands_on).split("\n")
    return "\n".join([value + _mark(row) * tested, *rest, *p])


def _not_compared(run: ScoredRun, name: str) -> str:
    """Why a run has no number in a column that sets runs against each other."""
    if is_given(run.spec) and not name.endswith(STATED):
        return f"{DASH} (images given)"
    if not is_given(run.spec) and name.endswith(STATED):
        return f"{DASH} (drawn here)"
    return DASH if name.startswith(WIN) else absence(None)


def _mark(row: ComparedRow | None) -> str:
    return f" {MIXED}" if row is not None and row.mixed else ""


def compared_to(comparison: Comparison, label: str) -> str:
    """What the differences of a run are to: of given images what their card calls the baseline."""
    rows = [row for row in comparison.of(label).values() if row.difference is not None]
    base = rows[0].baseline if rows and is_given(comparison.runs[label].spec) else None
    return base or comparison.baseline


def difference_title(comparison: Comparison) -> str:
    """The title of differences of several runs."""
    labels = {row.label: None for row in comparison.rows if row.difference is not None}
    bases = dict.fromkeys(compared_to(comparison, label) for label in labels)
    return f"difference to {', '.join(bases)} [95 % interval], p"


def gap_lines(comparison: Comparison) -> list[str]:
    """Why a table has no share of the gap closed; empty where it has."""
    given = all(is_given(run.spec) for run in comparison.runs.values())
    if given and UTILITY in comparison.metrics:
        return [f"no {GAP}: it is made from {BASELINE} and {CEILING} of one backbone, and these images are given."]
    return gap_note(comparison.metrics, comparison.methods)


def rank_cell(comparison: Comparison, label: str) -> str:
    """The rank with its interval; empty for what is not ranked."""
    rank = comparison.ranks.get(label)
    return f"{rank.rank} [{rank.low}, {rank.high}]" if rank else ""


def difference_heading(comparison: Comparison, label: str, gap: str) -> list[str]:
    """The heading of a run's differences and p values; of p values alone, or none, where there are no others."""
    rows = comparison.of(label).values()
    if any(row.difference for row in rows):
        return [f"− {compared_to(comparison, label)}{gap}[95 %], p"]
    return ["p"] * any(row.p is not None for row in rows)


def tested_cell(row: ComparedRow, stands_on: tuple[str, int]) -> str:
    """The difference to the baseline with its p value on one line; of a win rate, which is no difference, p alone."""
    if row.difference is None:
        return "" if row.p is None else p_text(row.p_holm) + _mark(row)
    return difference_cell(row, stands_on).replace("\n", " ")


def difference_cell(row: ComparedRow | None, usual_counts: tuple[str, int]) -> str:
    """The difference to the baseline, its interval, and its p value below."""
    if row is None or row.difference is None:
        return f"{DASH} (not compared)"
    value, *rest = stacked(row.difference, usual_counts).split("\n")
    sign = "+" if (row.difference.value or 0) > 0 else ""
    return "\n".join([f"{sign}{value}{_mark(row)}", *rest, p_text(row.p_holm)])


def win_lines(comparison: Comparison, shown: Sequence[str]) -> list[str]:
    """What win rates are, whom they say nothing good of, what of the frame is missing."""
    lacking = {
        name: command for name, command in comparison.lacking.items() if not (name in BASELINES and UTILITY in shown)
    }
    return [
        *win_notes(comparison.own, shown),
        *unproven_notes(comparison.unbeaten),
        *copying_notes(near(comparison)),
        *lacking_note(lacking if comparison.own else {}),
        *mixed_note(row.mixed for row in comparison.rows),
        *_ranked_together(comparison),
    ]


def _ranked_together(comparison: Comparison) -> list[str]:
    """That ranks of given images among others are no ranks of methods."""
    ranked = [comparison.runs[label] for label in comparison.ranks]
    first = next((run for run in ranked if is_given(run.spec)), None)
    apart = first is not None and not all(same_origin(first, run) for run in ranked)
    return ["rank: given images stand among images of other backbones: of backbone and method together."] * apart


def rank_note(comparison: Comparison) -> list[str]:
    """What ranks are by, where that is not the known truth."""
    by = comparison.ranked_by
    return [f"rank: by {by} among the methods that it may rank."] if comparison.ranks and by != UTILITY else []

"""The tables that a terminal shows: at most 100 columns, the headline metric of each question, n in a line below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefbench.api import Cells, Grid

from ..shared.cells import APART, Counts, absence, counts, metric_name, stacked, stands_note, usual, wrapped
from ..shared.frame import headlines
from ..shared.meaning import size_note
from ..shared.notes import cut_note, drawn_lines, drawn_notes, legend, unpaired_note
from ..validation.unmet import unmet_notes
from .admitted import admission_lines
from .compare import ComparedRow, Comparison
from .compared_cells import (
    difference_cell,
    difference_heading,
    difference_title,
    gap_lines,
    name_cell,
    rank_cell,
    rank_note,
    tested_cell,
    value_cell,
    win_lines,
)
from .grids import QUESTIONS, gap_notes, ranked_first, smallest, tests_notes, unpaired_of


def run_headline(comparison: Comparison, label: str) -> Grid:
    """One run's metrics without their parts, a section for each question, beside its difference to the baseline."""
    by_name = {name: row for name, row in comparison.of(label).items() if "/" not in name}
    rows = {name: by_name[name] for name in comparison.metrics if name in by_name}
    stands_on = usual(row.summary for row in rows.values())
    heading = difference_heading(comparison, label, " ")
    compared = bool(heading)
    sections = [
        [_run_row(row, stands_on, compared) for row in rows.values() if row.summary.question == question]
        for question in QUESTIONS
    ]
    run = comparison.runs[label]
    title = f"{label} on {run.spec['suite']} {run.spec['split']}"
    columns = ("metric", "mean [95 % interval]", *heading)
    notes = [*stands_note(stands_on), *size_note([run]), *legend([row.summary for row in rows.values()])]
    notes += [
        *admission_lines(comparison),
        *win_lines(comparison, list(rows)),
        *unmet_notes(run.spec["suite"], list(rows)),
    ]
    notes += [*_gap(comparison), *_more(comparison, list(rows))]
    notes += tests_notes(comparison, [row.difference for row in rows.values() if row.difference]) * compared
    return Grid(title, columns, sections, list(dict.fromkeys([*notes, *drawn_lines(run), *gap_notes(run)])))


def runs_headline(comparison: Comparison) -> Grid:
    """Methods as rows, the headline metrics as columns; controls stand below a rule and are not ranked."""
    metrics = _headlines(comparison)
    of_all = [row.summary for label in comparison.runs for n, row in comparison.of(label).items() if n in metrics]
    stands_on, heads = usual(of_all), {row.metric: metric_name(row) for row in of_all}
    honest, controls = ranked_first(comparison)
    ranks = bool(comparison.ranks)
    sections = [[_runs_row(comparison, label, metrics, stands_on) for label in group] for group in (honest, controls)]
    columns = ("method", *["rank"] * ranks, *[wrapped(heads[name]) for name in metrics])
    notes = [*stands_note(stands_on), *size_note(comparison.runs.values())]
    notes += [*legend(of_all, [APART] if controls and honest else []), *admission_lines(comparison)]
    notes += win_lines(comparison, metrics)
    notes += unmet_notes(next(iter(comparison.runs.values())).spec["suite"], metrics)
    notes += [
        *smallest(comparison),
        *unpaired_note(unpaired_of(comparison)),
        *cut_note(comparison.cut),
        *rank_note(comparison),
        *_gap(comparison),
        *_more(comparison, metrics),
        *drawn_notes({label: drawn_lines(run) for label, run in comparison.runs.items()}),
    ]
    notes += [note for label, run in comparison.runs.items() for note in gap_notes(run, label)]
    return Grid("all runs, mean over users [95 % interval]", columns, sections, notes)


def difference_headline(comparison: Comparison) -> Grid:
    """Each run minus the baseline on the same keys, in the headline metrics that are not set-level."""
    rows = [row for row in comparison.rows if row.difference is not None]
    metrics = headlines({row.summary.metric: row.summary.question for row in rows})
    heads = {row.summary.metric: metric_name(row.summary, won=False) for row in rows}
    differences = [row.difference for row in rows if row.difference and row.summary.metric in metrics]
    stands_on = usual(differences)
    labels = list(dict.fromkeys(row.label for row in rows))
    body = [
        (label, *[difference_cell(comparison.of(label).get(name), stands_on) for name in metrics]) for label in labels
    ]
    columns = ("method", *[wrapped(heads[name]) for name in metrics])
    title = difference_title(comparison)
    return Grid(title, columns, [body], [*stands_note(stands_on), *tests_notes(comparison, differences)])


def _run_row(row: ComparedRow, stands_on: Counts, compared: bool) -> Cells:
    summary = row.summary
    value, *rest = (absence(summary) if summary.value is None else stacked(summary, stands_on)).split("\n")
    lines = "\n".join([" ".join([value, *rest[:1]]), *rest[1:]])
    cells = (metric_name(summary), lines)
    if not compared:
        return cells
    own = (counts(summary), summary.missing)
    return (*cells, tested_cell(row, own))


def _runs_row(comparison: Comparison, label: str, metrics: Sequence[str], stands_on: Counts) -> Cells:
    cells = [value_cell(comparison, label, name, stands_on) for name in metrics]
    return (name_cell(comparison, label), *[rank_cell(comparison, label)] * bool(comparison.ranks), *cells)


def _headlines(comparison: Comparison) -> list[str]:
    """The headline metrics; one that no run has a value of gives way to the next that some run has one of."""
    questions: Mapping[str, str] = {row.summary.metric: row.summary.question for row in comparison.rows}
    valued = {row.summary.metric for row in comparison.rows if row.summary.value is not None}
    names = [name for name in comparison.metrics if name in valued] or comparison.metrics
    return headlines({name: questions[name] for name in names})


def _gap(comparison: Comparison) -> list[str]:
    return gap_lines(comparison)


def _more(comparison: Comparison, shown: Sequence[str]) -> list[str]:
    """How to see the columns that a table leaves out."""
    others = [name for name in comparison.metrics if name not in shown]
    names = [name for name in others if "/" not in name] + ["parts of metrics"] * any("/" in name for name in others)
    return [f"Not shown: {', '.join(names)}; the report has them, and --all shows them."] if names else []

"""The tables of runs as grids: one run, several runs, differences to `prompt-only`, kinds of users, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter

from prefbench.api import ALL, Cells, Estimate, Grid, Sample, ScoredRun, agreeing, counted, plain
from prefbench.run.draw import failures
from prefbench.run.folder import RunFolder
from prefbench.stats.rules import interval_sentence, p_sentence

from ..shared.cells import (
    APART,
    DASH,
    N,
    absence,
    counts,
    encoder,
    metric_heading,
    metric_name,
    number,
    stacked,
    stacked_value,
    usual,
)
from ..shared.frame import UTILITY, ranking_metric
from ..shared.meaning import kinds_note, size_note
from ..shared.notes import cut_note, drawn_lines, drawn_notes, interval_notes, legend, smallest_note, unpaired_note
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

BESIDE = ("floor", "crowd")
"""What stands beside the value of a set-level metric: the best it can be, and what knowing nobody is worth."""
QUESTIONS = ("preference", "adherence", "fidelity", "side")


def run_grid(comparison: Comparison, label: str) -> Grid:
    """Every number of one run over all users, a section for each question, beside its difference to the baseline."""
    rows = comparison.of(label)
    names = [name for name in comparison.metrics if name in rows]
    heading = difference_heading(comparison, label, "\n")
    compared = bool(heading)
    beside = [name for name in BESIDE if any(getattr(row.summary, name) is not None for row in rows.values())]
    columns = ["metric", "value [95 %]", N, "missing", *beside, *heading]
    sections = [
        [_run_row(rows[name], beside, compared) for name in names if rows[name].summary.question == question]
        for question in QUESTIONS
    ]
    run = comparison.runs[label]
    title = f"{label} on {run.spec['suite']} {run.spec['split']}"
    notes = [*legend([row.summary for row in rows.values()]), *unmet_notes(run.spec["suite"], names)]
    notes += win_lines(comparison, names)
    notes += tests_notes(comparison, [row.difference for row in rows.values() if row.difference]) * compared
    notes += [*_about(comparison), *drawn_lines(run), *gap_notes(run)]
    return Grid(title, tuple(columns), sections, list(dict.fromkeys(notes)), kept=(0, 2, 3))


def runs_grid(comparison: Comparison, *, parts: bool = False) -> Grid:
    """Methods as rows, metrics as columns; controls stand below a rule and are not ranked.

    `parts` shows the columns of single groups instead, such as `utility/worded`. Where a cell stands on other numbers
    than its row says, it says so itself.
    """
    metrics = [name for name in comparison.metrics if parts == ("/" in name)]
    summaries = {name: next(r.summary for r in comparison.rows if r.summary.metric == name) for name in metrics}
    heads = [metric_name(row) for row in summaries.values()]
    ranks = bool(comparison.ranks)
    unpaired = unpaired_of(comparison)
    columns = ("method", *["rank"] * ranks, *heads, N, "missing", *["unpaired"] * any(unpaired.values()))
    honest, controls = ranked_first(comparison)
    sections = [[_runs_row(comparison, label, metrics) for label in group] for group in (honest, controls)]
    notes = legend([row.summary for row in comparison.rows], [APART] if controls and honest else [])
    notes += unmet_notes(next(iter(comparison.runs.values())).spec["suite"], metrics)
    notes += smallest(comparison)
    notes += [] if parts else [*win_lines(comparison, metrics), *_about(comparison), *rank_note(comparison)]
    notes += [] if parts else drawn_notes({label: drawn_lines(run) for label, run in comparison.runs.items()})
    notes += [*unpaired_note(unpaired), *cut_note(comparison.cut)]
    notes += [note for label, run in comparison.runs.items() for note in gap_notes(run, label)]
    title = "by group of axes" if parts else "all runs"
    return Grid(f"{title}, mean over users [95 % interval]", columns, sections, notes, kept=_ends(columns))


def difference_grid(comparison: Comparison) -> Grid:
    """Each method minus the baseline on the same keys, for every metric that is not set-level."""
    rows = [row for row in comparison.rows if row.difference is not None]
    names = [name for name in comparison.metrics if any(row.summary.metric == name for row in rows)]
    heads = [metric_name(next(r.summary for r in rows if r.summary.metric == name), won=False) for name in names]
    labels = list(dict.fromkeys(row.label for row in rows))
    differences = [row.difference for row in rows if row.difference is not None]
    notes = [*tests_notes(comparison, differences), *smallest(comparison)]
    columns = ("method", *heads, N, "missing", *["unpaired"] * any(one.unpaired for one in differences))
    body = [_differences_row(label, comparison.of(label), names, "unpaired" in columns) for label in labels]
    return Grid(difference_title(comparison), columns, [body], notes, kept=_ends(columns))


def kinds_grid(comparison: Comparison, metric: str) -> Grid:
    """One metric by kind of user."""
    rows_of_metric = [row.summary for row in comparison.rows if row.summary.metric == metric]
    kinds = list(dict.fromkeys(row.kind for row in rows_of_metric))
    heading = metric_heading(metric, "", encoder(rows_of_metric[0]))
    body, notes = [], kinds_note(next(iter(comparison.runs.values())))
    for label in comparison.runs:
        rows = [comparison.of(label, kind=kind).get(metric) for kind in kinds]
        body.append((label, *[stacked(row.summary if row else None) for row in rows]))
    notes = [*notes, *interval_notes(rows_of_metric)]
    return Grid(f"{heading} by kind of user", ("method", *kinds), [body], notes)


def cost_grid(comparison: Comparison) -> Grid:
    """The cost of each run, per user and per image."""
    columns = ("method", "s / user", "users", "s / image", "passes / image", "images", "bytes / user", "trained / user")
    return Grid("cost", (*columns, "peak memory"), [[_cost_row(label, run) for label, run in comparison.runs.items()]])


def smallest(comparison: Comparison) -> list[str]:
    """The line for the metric of ranks, else for the first of preference, where runs are compared with a baseline."""
    differences: dict[str, list[Estimate]] = {}
    for row in comparison.rows:
        if row.difference is not None and row.summary.question == "preference":
            differences.setdefault(row.summary.metric, []).append(row.difference)
    metric = ranking_metric(differences) or next(iter(differences), UTILITY)
    return smallest_note(metric, differences.get(metric, []))


def gap_notes(run: ScoredRun, label: str | None = None) -> list[str]:
    """The samples that a run lacks: those not drawn yet, and those that failed, by reason. Empty without any."""
    name = f"{label}: " if label else ""
    notes = []
    if run.undrawn:
        planned = counted(run.description["planned"], "sample")
        undrawn = f"{run.undrawn} of {planned} {agreeing(run.undrawn, 'is', 'are')} not drawn yet"
        notes.append(f"{name}unfinished, {undrawn}")
    reasons: Counter[str] = failures({sample.key: sample for sample in run.samples})
    if reasons:
        examples = "; ".join(f"{count} × {plain(reason)}" for reason, count in reasons.most_common(5))
        notes.append(f"{name}{reasons.total()} of {counted(len(run.samples), 'sample')} failed: {examples}")
    return [*notes, *[f"{name}{line}" for line in whole_failures(run.samples)]]


def whole_failures(samples: Sequence[Sample]) -> list[str]:
    """A line where all samples of a user or of a prompt failed: numbers stand on the others, who may be easier."""
    parts = []
    for what, of in (("user", attrgetter("user")), ("prompt", attrgetter("prompt"))):
        everyone, drawn = {of(one) for one in samples}, {of(one) for one in samples if one.image is not None}
        lost = len(everyone) - len(drawn)
        parts += [f"{lost} of {counted(len(everyone), what)}"] * (lost > 0)
    return [f"{' and '.join(parts)} failed altogether: no number speaks of such users or prompts"] * bool(parts)


def ranked_first(comparison: Comparison) -> tuple[list[str], list[str]]:
    """The labels of honest methods in their order of rank, and those of controls."""
    honest = [label for label in comparison.runs if _ranked(comparison, label)]
    honest.sort(key=lambda label: comparison.ranks[label].rank if label in comparison.ranks else len(honest) + 1)
    return honest, [label for label in comparison.runs if label not in honest]


def _about(comparison: Comparison) -> list[str]:
    """What n stands for, and why there is no share of the gap."""
    runs = comparison.runs.values()
    return [*size_note(runs), *admission_lines(comparison), *gap_lines(comparison)]


def tests_notes(comparison: Comparison, differences: Sequence[Estimate]) -> list[str]:
    """What p is, what it is adjusted over, how it goes with the intervals."""
    notes = [f"{p_sentence()} Adjusted: {comparison.family}.", interval_sentence()]
    return [*notes, *interval_notes(differences)]


def unpaired_of(comparison: Comparison) -> dict[str, int]:
    """How many samples of each run are left out at most in a column, because not all runs have them."""
    return {
        label: max((row.summary.unpaired for row in comparison.of(label).values()), default=0)
        for label in comparison.runs
    }


def _ends(columns: Cells) -> tuple[int, ...]:
    """The name and what its numbers stand on."""
    return (0, *range(columns.index(N), len(columns)))


def _run_row(row: ComparedRow, beside: Sequence[str], compared: bool) -> Cells:
    summary = row.summary
    value = absence(summary) if summary.value is None else stacked_value(summary)
    cells = [metric_name(summary), value, counts(summary), str(summary.missing)]
    cells += ["" if getattr(summary, name) is None else number(getattr(summary, name)) for name in beside]
    if compared:
        stands_on = (counts(summary), summary.missing)
        cells.append(tested_cell(row, stands_on))
    return tuple(cells)


def _runs_row(comparison: Comparison, label: str, metrics: Sequence[str]) -> Cells:
    rows = comparison.of(label)
    stands_on = usual(row.summary for name, row in rows.items() if name in metrics)
    cells = [value_cell(comparison, label, name, stands_on) for name in metrics]
    place = [rank_cell(comparison, label)] if comparison.ranks else []
    left_out = unpaired_of(comparison)
    return (
        name_cell(comparison, label),
        *place,
        *cells,
        stands_on[0],
        str(stands_on[1]),
        *[str(left_out[label])] * any(left_out.values()),
    )


def _differences_row(label: str, rows: Mapping[str, ComparedRow], names: Sequence[str], unpaired: bool) -> Cells:
    differences = [one for name in names if name in rows and (one := rows[name].difference) is not None]
    stands_on = usual(differences)
    cells = [difference_cell(rows.get(name), stands_on) for name in names]
    left_out = [str(max(one.unpaired for one in differences))] * unpaired
    return (label, *cells, stands_on[0], str(stands_on[1]), *left_out)


def _cost_row(label: str, run: ScoredRun) -> Cells:
    cost, drawn = run.cost(), sum(sample.image is not None for sample in run.samples)
    memory = cost.peak_memory_bytes
    return (
        label,
        _cost(cost.seconds_per_user, 3),
        str(len(RunFolder(run.path).profiles()) or DASH),
        _cost(cost.seconds_per_image, 3),
        _cost(cost.nfe_per_image, 1),
        str(drawn),
        _cost(cost.profile_bytes, 0),
        _cost(cost.trained_parameters, 0),
        DASH if memory is None else f"{memory / 2**30:.2f} GiB",
    )


def _cost(value: float | None, decimals: int) -> str:
    return DASH if value is None else f"{value:,.{decimals}f}"


def _ranked(comparison: Comparison, label: str) -> bool:
    return any(row.ranked for row in comparison.of(label, kind=ALL).values())

"""Several runs side by side: every run's numbers, its difference to a baseline, the share of the gap it closes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from prefbench.api import ALL, Estimate, History, PrefbenchError, ScoredRun, SummaryRow, counted
from prefbench.api.near import unknown
from prefbench.api.reports import Bar, no_bar
from prefbench.api.runs import is_given
from prefbench.score.summarise import column_rows
from prefbench.stats.joint import Rank, rank_intervals
from prefbench.stats.paired import adjusted, paired_difference

from ..shared.frame import (
    BASELINE,
    CEILING,
    CROWD,
    GAP,
    PERSONAL,
    WIN,
    framing,
    is_control,
    is_personal,
    only,
    own_column,
    ranking_metric,
    same_origin,
    usual_baseline,
)
from ..shared.labels import check_mix, label_runs
from ..shared.paired import Columns, Cut, cutting, on_shared_keys, on_shared_samples, with_counts
from .gaps import gap_rows
from .wins import beaten_by_none, lacking, wins

_DIFFERENCE = ("low", "high", "n_users", "n_samples", "missing", "unpaired", "users_only")
"""Fields of a difference that stand in a row's JSON."""


@dataclass(frozen=True)
class ComparedRow:
    """One number of one run.

    `label` names the run within its comparison. `difference` is this run minus the baseline on the same keys, `p` the
    p value of no difference, of a win rate that of one half, `p_holm` the same adjusted over the family that
    `Comparison.family` names. `ranked` is False for controls.
    """

    label: str
    ranked: bool
    summary: SummaryRow
    difference: Estimate | None = None
    p: float | None = None
    p_holm: float | None = None
    baseline: str | None = None
    """The label of the run that `difference` is to, or a win rate is over."""
    mixed: bool = False
    """Whether that run is not known to have the same backbone, so that both speak of backbone and method together."""


@dataclass(frozen=True)
class Comparison:
    """Runs of one suite, split, seed and backbone by their labels, their rows, and the ranks of honest methods."""

    runs: Mapping[str, ScoredRun]
    rows: Sequence[ComparedRow]
    ranks: Mapping[str, Rank]
    """By `ranked_by`, best first; empty for fewer than two honest methods."""
    baseline: str = BASELINE
    """The method that differences are to."""
    histories: Callable[[], Callable[[str], History]] | None = None
    """Makes what gives a user's history, which the galleries show; None for a page without galleries."""
    cut: Cut | None = None
    """The runs that the others are compared on fewer samples for; None without any."""
    ranked_by: str | None = None
    own: str | None = None
    """The column that win rates are made from; None where no run has one."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """What of the frame is not there, to the command that draws it."""
    bar: Bar = no_bar
    """Shows how far the writing of a page is."""

    def of(self, label: str, *, kind: str = ALL) -> dict[str, ComparedRow]:
        """The rows of one run for one kind of users, by metric."""
        return {row.summary.metric: row for row in self.rows if row.label == label and row.summary.kind == kind}

    @property
    def family(self) -> str:
        """What the p values of a table are adjusted over."""
        if len(self.runs) == 1:
            n = sum(row.difference is not None for row in self.rows)
            n_wins = sum(row.p is not None and row.difference is None for row in self.rows)
            parts = [counted(n, "difference")] * (n > 0 or not n_wins) + [counted(n_wins, "win rate")] * (n_wins > 0)
            tested = " and ".join(parts)
            return f"Holm over the {tested} of this run, shown here or not"
        return "Holm over the runs of each column, not over columns"

    @property
    def methods(self) -> list[str]:
        """The methods of the runs, and the baseline where a run beside is compared with."""
        drawn = [row for row in self.rows if not is_given(self.runs[row.label].spec)]
        beside = [self.baseline] * any(row.difference is not None for row in drawn)
        return [*(run.method for run in self.runs.values()), *beside]

    @property
    def unbeaten(self) -> dict[str, list[str]]:
        """Methods that draw from histories to whom of the crowd and their own mismatched control they do not beat."""
        personal = [label for label, run in self.runs.items() if is_personal(run)]
        return {label: beaten_by_none({n: r.summary for n, r in self.of(label).items()}) for label in personal}

    @property
    def metrics(self) -> list[str]:
        """Every metric that some run has, in the order in which tables show them."""
        return ordered({row.summary.metric: row.summary.question for row in self.rows})


def compare(
    runs: Sequence[ScoredRun], *, beside: Sequence[ScoredRun] = (), baseline: str = BASELINE, own_samples: bool = False
) -> Comparison:
    """Compares scored runs on the samples that all have; what only some have is with_counts in the rows as unpaired.

    Args:
        beside: runs that have no rows of their own, for differences to the baseline and shares of the gap.
        baseline: the label of the run that all others are compared with, or its method where that has one plain run;
            by default that of the frame, without a run of which there are no differences.
        own_samples: values are of all samples of each run, which is no comparison of them; differences and shares of
            the gap stay on what two or three runs share. Always so for a single run.

    Raises:
        PrefbenchError: no runs, a run without scores, runs that do not belong into one table, the same run twice; a
            baseline that is named and not among the runs.
    """
    check_mix([*runs, *beside])
    everyone = dict(zip(label_runs([*runs, *beside]), [*runs, *beside], strict=True))
    shown = dict(list(everyone.items())[: len(runs)])
    own_samples = own_samples or len(runs) == 1
    columns: dict[str, Columns] = {label: run.columns() for label, run in everyone.items()}
    cut = None
    if not own_samples:
        cut, columns = cutting(columns, _ordered_metrics(columns)), {**on_shared_samples(columns)}
    frame = {name: only(everyone, name) for name in (BASELINE, CEILING, CROWD)}
    framed = {name: columns[label] for name, label in frame.items() if label is not None}
    named = None if baseline == BASELINE else _named(baseline, everyone)
    bases = {label: framing(everyone, label, BASELINE) if named is None else named for label in shown}
    rows = [row for label, run in shown.items() for row in _rows(label, run, columns[label])]
    everything = {label: run.columns() for label, run in everyone.items()}
    rows = _with_differences(rows, columns, everything, bases)
    rows += [
        ComparedRow(one.label, not is_control(shown[one.label]), one.summary, p=one.p, baseline=one.opponent)
        for one in wins(shown, everyone, columns, everything, named)
    ]
    rows = in_families([_with_mixed(row, everyone) for row in rows], by_metric=len(runs) > 1)
    rows += [
        ComparedRow(label, not is_control(run), row)
        for label, run in shown.items()
        if not is_given(run.spec)
        for row in gap_rows(run, columns[label], framed)
    ]
    honest = {name: columns[name] for name, run in shown.items() if not is_control(run)}
    by = ranking_metric({name for own in columns.values() for name in own})
    base = usual_baseline(everyone.values(), baseline)
    compared = Comparison(shown, rows, _ranks(honest, by), base, cut=cut, ranked_by=by)
    return replace(compared, own=own_column(everything.values()), lacking=lacking(shown, everyone))


def _named(baseline: str, everyone: Mapping[str, ScoredRun]) -> str:
    """The label of the run that was named as baseline."""
    label = baseline if baseline in everyone else only(everyone, baseline)
    if label is None:
        raise PrefbenchError(unknown("baseline", baseline, list(everyone)))
    return label


def _with_mixed(row: ComparedRow, everyone: Mapping[str, ScoredRun]) -> ComparedRow:
    compared = row.baseline is not None and not same_origin(everyone[row.label], everyone[row.baseline])
    return replace(row, mixed=compared)


def _ordered_metrics(columns: Mapping[str, Columns]) -> list[str]:
    return ordered({name: column.question for own in columns.values() for name, column in own.items()})


def _rows(label: str, run: ScoredRun, columns: Columns) -> list[ComparedRow]:
    """The stored rows of a run; those of columns that lost samples are computed anew."""
    summary = run.summary()
    if not summary:
        raise PrefbenchError(f"{run.path} was not scored yet; prefbench score {run.path}")
    cut = {name for name, column in columns.items() if column.scores.unpaired}
    rows: list[SummaryRow] = []
    for row in summary:
        if row.metric not in cut:
            rows.append(row)
        elif row.kind == ALL:
            rows += column_rows(run, row.metric, columns[row.metric])
    return [ComparedRow(label, not is_control(run), row) for row in rows]


def as_json(rows: Sequence[ComparedRow]) -> list[dict[str, Any]]:
    """Rows as plain data: the summary's fields, the run's label, and the difference to which `baseline`."""
    return [
        {
            **asdict(row.summary),
            "won_by": list(row.summary.won_by),
            "label": row.label,
            "ranked": row.ranked,
            **_flat_difference(row.difference),
            "p": row.p,
            "p_holm": row.p_holm,
            "baseline": row.baseline,
            "mixed": row.mixed,
        }
        for row in rows
    ]


def ordered(questions: Mapping[str, str]) -> list[str]:
    """Metric names in the order of the questions they answer: preference, adherence, fidelity, side conditions."""
    order = ["preference", "adherence", "fidelity", "side"]
    return sorted(questions, key=lambda name: (order.index(questions[name]), _place(name)))


def _place(name: str) -> int:
    """The place of a column among those of its question: headlines first."""
    first = (GAP, *PERSONAL, WIN)
    return next((i for i, headline in enumerate(first) if name.startswith(headline)), len(first))


def _with_differences(
    rows: Sequence[ComparedRow],
    columns: Mapping[str, Columns],
    everything: Mapping[str, Columns],
    bases: Mapping[str, str | None],
) -> list[ComparedRow]:
    """The rows over all users with their difference to the run's base, of `columns`, of which `everything` has all."""
    extended = list(rows)
    for i, row in enumerate(rows):
        name, base = row.summary.metric, bases[row.label]
        if base is None:
            continue
        if row.summary.kind != ALL or row.label == base or name not in columns[base] or name not in columns[row.label]:
            continue
        difference = paired_difference(*on_shared_keys(columns[row.label][name].scores, columns[base][name].scores))
        estimate = with_counts(difference.estimate, everything[row.label][name].scores, everything[base][name].scores)
        extended[i] = replace(row, difference=estimate, p=difference.p_value, baseline=base)
    return extended


def in_families(rows: Sequence[ComparedRow], *, by_metric: bool) -> list[ComparedRow]:
    """The rows with their p values adjusted (Holm) over the runs for each metric, else over all."""
    extended, families = list(rows), dict[str, list[int]]()
    for i, row in enumerate(rows):
        if row.baseline is not None:
            families.setdefault(row.summary.metric if by_metric else "", []).append(i)
    for places in families.values():
        for i, p in zip(places, adjusted([rows[i].p for i in places]), strict=True):
            extended[i] = replace(rows[i], p_holm=p)
    return extended


def _ranks(columns: Mapping[str, Columns], by: str | None) -> dict[str, Rank]:
    """Ranks of the methods that have the metric and that it may rank."""
    having = {label: own[by] for label, own in columns.items() if by is not None and by in own}
    scored = {label: column.scores for label, column in having.items() if not column.unranked}
    scored = {label: scores for label, scores in scored.items() if not np.isnan(scores.values).all()}
    if len(scored) < 2:
        return {}
    shared = dict(zip(scored, on_shared_keys(*scored.values()), strict=True))
    if np.isnan(np.stack([scores.values for scores in shared.values()])).any(axis=0).all():
        return {}
    return dict(sorted(rank_intervals(shared).items(), key=lambda item: item[1].rank))


def _flat_difference(difference: Estimate | None) -> dict[str, Any]:
    fields = asdict(difference) if difference is not None else {}
    flat = {f"difference_{name}": fields.get(name) for name in _DIFFERENCE}
    return {"difference": fields.get("value"), **flat}

"""Several runs side by side: every run's numbers, its difference to a baseline, the share of the gap it closes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from prefbench.api import ALL, Estimate, History, PrefbenchError, ScoredRun, SummaryRow
from prefbench.registry import unknown
from prefbench.stats.joint import Rank, gap_closed, rank_intervals
from prefbench.stats.paired import holm, paired_difference

from ..shared.frame import BASELINE, CEILING, GAP, UTILITY, is_control, only
from ..shared.labels import check_mix, label_runs
from ..shared.paired import Columns, on_same_keys


@dataclass(frozen=True)
class ComparedRow:
    """One number of one run.

    `label` names the run within its comparison. `difference` is this run minus the baseline on the same keys, `p` the
    p value of no difference, `p_holm` the same adjusted over the runs of the comparison for this metric. `ranked` is
    False for controls.
    """

    label: str
    ranked: bool
    summary: SummaryRow
    difference: Estimate | None = None
    p: float | None = None
    p_holm: float | None = None
    baseline: str | None = None
    """The label of the run that `difference` is to."""


@dataclass(frozen=True)
class Comparison:
    """Runs of one suite, split, seed and backbone by their labels, their rows, and the ranks of honest methods."""

    runs: Mapping[str, ScoredRun]
    rows: Sequence[ComparedRow]
    ranks: Mapping[str, Rank]
    """By utility, best first; empty for fewer than two honest methods."""
    baseline: str = BASELINE
    """The method that differences are to."""
    histories: Callable[[], Callable[[str], History]] | None = None
    """Makes what gives a user's history, which the galleries show; None for a page without galleries."""

    def of(self, label: str, *, kind: str = ALL) -> dict[str, ComparedRow]:
        """The rows of one run for one kind of users, by metric."""
        return {row.summary.metric: row for row in self.rows if row.label == label and row.summary.kind == kind}

    def of_first(self, n: int) -> Comparison:
        """The first n runs with the rows that they have beside the others; ranks only where all runs are kept."""
        runs = dict(list(self.runs.items())[:n])
        rows = [row for row in self.rows if row.label in runs]
        return Comparison(runs, rows, self.ranks if len(runs) == len(self.runs) else {}, self.baseline, self.histories)

    @property
    def metrics(self) -> list[str]:
        """Every metric that some run has, in the order in which tables show them."""
        return ordered({row.summary.metric: row.summary.question for row in self.rows})


def compare(runs: Sequence[ScoredRun], *, baseline: str = BASELINE) -> Comparison:
    """Compares scored runs. A key that one of two runs lacks is a missing row of their difference.

    Args:
        baseline: the label of the run that all others are compared with, or its method where that has one plain run;
            without a run of `prompt-only` there are no differences.

    Raises:
        PrefbenchError: no runs, a run without scores, runs that do not belong into one table, the same run twice; a
            baseline other than `prompt-only` that is not among the runs.
    """
    check_mix(runs)
    by_label = dict(zip(label_runs(runs), runs, strict=True))
    columns = {label: run.columns() for label, run in by_label.items()}
    floor, ceiling = only(by_label, BASELINE), only(by_label, CEILING)
    base = baseline if baseline != BASELINE and baseline in by_label else only(by_label, baseline)
    if base is None and baseline != BASELINE:
        raise PrefbenchError(unknown("baseline", baseline, list(by_label)))
    rows = [ComparedRow(label, not is_control(run), row) for label, run in by_label.items() for row in run.summary()]
    for label, run in by_label.items():
        if not any(row.label == label for row in rows):
            raise PrefbenchError(f"{run.path} was not scored yet; prefbench score {run.path}")
    if base is not None:
        rows = _with_differences(rows, columns, base)
    if floor is not None and ceiling is not None:
        rows += [
            ComparedRow(label, not is_control(run), row)
            for label, run in by_label.items()
            for row in _gap_rows(run, columns[label], columns[floor], columns[ceiling])
        ]
    honest = {name: columns[name] for name, run in by_label.items() if not is_control(run)}
    return Comparison(by_label, rows, _ranks(honest), baseline)


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
        }
        for row in rows
    ]


def ordered(questions: Mapping[str, str]) -> list[str]:
    """Metric names in the order of the questions they answer: preference, adherence, fidelity, side conditions."""
    order = ["preference", "adherence", "fidelity", "side"]
    rank = {name: (order.index(question), not name.startswith(GAP)) for name, question in questions.items()}
    return sorted(questions, key=lambda name: rank[name])


def _with_differences(rows: Sequence[ComparedRow], columns: Mapping[str, Columns], base: str) -> list[ComparedRow]:
    """The rows over all users with their difference to `base`, adjusted over the runs for each metric."""
    extended = list(rows)
    for metric, column in columns[base].items():
        places = [i for i, row in enumerate(rows) if row.summary.metric == metric and row.summary.kind == ALL]
        for i in [i for i in places if rows[i].label != base]:
            difference = paired_difference(*on_same_keys(columns[rows[i].label][metric].scores, column.scores))
            extended[i] = replace(rows[i], difference=difference.estimate, p=difference.p_value, baseline=base)
        tested = {i: p for i in places if (p := extended[i].p) is not None}
        for i, adjusted in zip(tested, holm(list(tested.values())), strict=True):
            extended[i] = replace(extended[i], p_holm=float(adjusted))
    return extended


def _gap_rows(run: ScoredRun, method: Columns, floor: Columns, ceiling: Columns) -> list[SummaryRow]:
    """The share of the way from `floor` to `ceiling` for utility and each of its groups of axes."""
    rows = []
    for name, column in method.items():
        if name.partition("/")[0] == UTILITY and name in floor and name in ceiling:
            three = on_same_keys(column.scores, floor[name].scores, ceiling[name].scores)
            estimate = gap_closed(*three)
            rows.append(
                SummaryRow(
                    method=run.method,
                    control=run.control,
                    metric=GAP + name.removeprefix(UTILITY),
                    kind=ALL,
                    direction="up",
                    question=column.question,
                    won_by=column.won_by,
                    **asdict(estimate),
                )
            )
    return rows


def _ranks(columns: Mapping[str, Columns]) -> dict[str, Rank]:
    """Ranks by utility of the methods that have it."""
    scored = {label: own[UTILITY].scores for label, own in columns.items() if UTILITY in own}
    if len(scored) < 2:
        return {}
    aligned = dict(zip(scored, on_same_keys(*scored.values()), strict=True))
    if np.isnan(np.stack([scores.values for scores in aligned.values()])).any(axis=0).all():
        return {}
    ranks = rank_intervals(aligned)
    return dict(sorted(ranks.items(), key=lambda item: item[1].rank))


def _flat_difference(difference: Estimate | None) -> dict[str, Any]:
    fields = asdict(difference) if difference is not None else {}
    flat = {f"difference_{name}": fields.get(name) for name in ("low", "high", "n_users", "n_samples", "missing")}
    return {"difference": fields.get("value"), **flat}

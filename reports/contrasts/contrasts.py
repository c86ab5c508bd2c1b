"""Runs against each other: paired contrasts per metric, adjusted, and the single users and prompts that decide them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from prefbench.api import Column, Estimate, PrefbenchError, ScoredRun, ScoreHeader, Scores, Suite, counted
from prefbench.api.near import unknown
from prefbench.stats.effects import Effect, effect
from prefbench.stats.leave_one_out import LeaveOneOut, leave_one_out
from prefbench.stats.paired import adjusted, paired_difference
from prefbench.stats.scores import user_means

from ..shared.frame import BASELINE, only, usual_baseline
from ..shared.labels import check_mix, label_runs
from ..shared.paired import Columns, on_shared_keys
from ..table.compare import ordered
from .sets import Pair, SetContrasts, SetDifference
from .standings import Standings, stand

ALPHA = 0.05
"""The level of Holm's adjusted p values below which a contrast counts as significant."""
SWAPS = 499


@dataclass(frozen=True)
class Contrast:
    """One metric of a run minus that of another, on the same users, prompts and seeds.

    `value` and `other` are the two runs' own. Set-level metrics have no `effect` and no `turns`.
    """

    metric: str
    direction: str
    method: str
    baseline: str
    value: float | None
    other: float | None
    difference: Estimate
    p: float | None
    p_holm: float | None = None
    effect: Effect | None = None
    """`wins`: the share of users for whom `method` is the better one, whatever the direction; None without one."""
    turns: tuple[str, ...] = ()
    """The users and prompts whose removal, one at a time, changes the significance of the contrast."""
    extractor: str = ""
    """The name of the encoder that both numbers rest on."""
    foreign: str = ""
    """Why it is not to be trusted with this suite's pictures; empty where it is."""


@dataclass(frozen=True)
class MeasuredContrasts:
    """Contrasts of several runs."""

    runs: Mapping[str, ScoredRun]
    pairs: Sequence[Pair]
    rows: Sequence[Contrast]
    standings: Standings | None
    refused: Mapping[str, str]
    """Metrics that were not compared, with the reason."""
    swaps: int = SWAPS

    @property
    def family(self) -> str:
        """What p values are adjusted over: the pairs of one metric; of a single pair all that the table holds."""
        if len(self.pairs) > 1:
            return f"Holm over the {counted(len(self.pairs), 'contrast')} of each metric, not over metrics"
        n_tests = sum(row.p is not None for row in self.rows)
        return f"Holm over the {counted(n_tests, 'contrast')} of this table"


def contrast(
    runs: Sequence[ScoredRun],
    suite: Callable[[], Suite],
    *,
    baseline: str = BASELINE,
    all_pairs: bool = False,
    metrics: Sequence[str] = (),
    by: str | None = None,
    swaps: int = SWAPS,
) -> MeasuredContrasts:
    """Contrasts of scored runs.

    Args:
        suite: makes the runs' suite; asked only where a set-level metric is compared.
        baseline: the label or method of the run that all others are compared with.
        all_pairs: every pair instead, in the order of the runs.
        metrics: columns of per-image metrics, and set-level metrics; by default those without their parts.
        by: the metric of ranks and strengths; by default `utility`, else the headline, else the first of preference.

    Raises:
        PrefbenchError: fewer than two runs, runs that do not belong together, no such baseline, a metric that no run
            has or that one lacks, and what `SetContrasts` refuses in a metric that was named.
    """
    if len(runs) < 2:
        raise PrefbenchError("comparing takes at least two runs")
    check_mix(runs)
    by_label = dict(zip(label_runs(runs), runs, strict=True))
    columns = {label: run.columns() for label, run in by_label.items()}
    over_sets = {label: run.set_metrics() for label, run in by_label.items()}
    scored = {label: _questions(columns[label], over_sets[label]) for label in by_label}
    pairs = list(combinations(by_label, 2)) if all_pairs else _against(by_label, usual_baseline(runs, baseline))
    names, refused = _metrics(by_label, scored, metrics)
    first, headers = columns[pairs[0][0]], over_sets[pairs[0][0]]
    tested = [row for name in names if name in first for row in _of_images(name, columns, pairs)]
    compare_sets = cache(lambda: SetContrasts(suite(), by_label, swaps=swaps))
    for name in [name for name in names if name in headers]:
        try:
            tested += _of_sets(name, headers[name], compare_sets().of(name, pairs), pairs)
        except PrefbenchError as error:
            if metrics:
                raise
            refused[name] = str(error)
    rows = _in_families(tested, by_metric=len(pairs) > 1)
    return MeasuredContrasts(by_label, pairs, rows, stand(by_label, columns, by), refused, swaps)


def _against(by_label: Mapping[str, ScoredRun], baseline: str) -> list[Pair]:
    base = baseline if baseline in by_label else only(by_label, baseline)
    if base is None:
        raise PrefbenchError(f"{unknown('baseline', baseline, list(by_label))}; or compare --pairs all")
    return [(label, base) for label in by_label if label != base]


def _questions(columns: Columns, over_sets: Mapping[str, ScoreHeader]) -> dict[str, str]:
    """Everything that a run was scored for, with the question it answers."""
    questions = {name: column.question for name, column in columns.items()}
    return questions | {name: header.question for name, header in over_sets.items()}


def _metrics(
    by_label: Mapping[str, ScoredRun], scored: Mapping[str, Mapping[str, str]], requests: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The metrics to compare, and those left out because some run lacks them, with the reasons."""
    available = ordered({name: question for questions in scored.values() for name, question in questions.items()})
    for name in requests:
        if name not in available:
            raise PrefbenchError(unknown("metric of these runs", name, available))
    names = requests or [name for name in available if "/" not in name]
    lacking = {
        name: f"{next(label for label in by_label if name not in scored[label])} was not scored for it"
        for name in names
        if any(name not in questions for questions in scored.values())
    }
    for name, reason in lacking.items():
        if requests:
            raise PrefbenchError(f"{name}: {reason}; prefbench score RUN --metrics {name.partition('/')[0]}")
    return [name for name in names if name not in lacking], lacking


class _Tested(NamedTuple):
    """A contrast that is not adjusted yet, and what it is without single users and prompts; None over sets."""

    row: Contrast
    without: LeaveOneOut | None


def _of_images(name: str, columns: Mapping[str, Columns], pairs: Sequence[Pair]) -> list[_Tested]:
    """The contrasts in one metric over images."""
    aligned = [on_shared_keys(columns[a][name].scores, columns[b][name].scores) for a, b in pairs]
    column = columns[pairs[0][0]][name]
    return [
        _Tested(_contrast(name, column, pair, *scores), leave_one_out(*scores))
        for pair, scores in zip(pairs, aligned, strict=True)
    ]


def _in_families(tested: Sequence[_Tested], *, by_metric: bool) -> list[Contrast]:
    """The contrasts adjusted over those of one metric, else over all, with what turns each."""
    rows = [one.row for one in tested]
    for metric in dict.fromkeys(row.metric for row in rows) if by_metric else [""]:
        places = [i for i, row in enumerate(rows) if metric in ("", row.metric)]
        of_family = adjusted([rows[i].p for i in places])
        turns = _turns(of_family, [rows[i].p for i in places], [tested[i].without for i in places])
        for i, p, turned_by in zip(places, of_family, turns, strict=True):
            rows[i] = replace(rows[i], p_holm=p, turns=turned_by)
    return rows


def _contrast(name: str, column: Column, pair: Pair, a: Scores, b: Scores) -> Contrast:
    difference, size = paired_difference(a, b), effect(a, b)
    if column.direction != "up":
        # Nobody wins where neither more nor less is better.
        size = replace(size, wins=1 - size.wins if column.direction and size.wins is not None else None)
    both = np.isnan(a.values + b.values)
    means = [user_means(Scores(np.where(both, np.nan, s.values), s.users, s.prompts)) for s in (a, b)]
    own, other = (float(m.mean()) if len(m) else None for m in means)
    row = Contrast(name, column.direction, *pair, own, other, difference.estimate, difference.p_value, effect=size)
    return replace(row, extractor=column.extractor, foreign=column.foreign)


def _of_sets(
    name: str, header: ScoreHeader, differences: Sequence[SetDifference], pairs: Sequence[Pair]
) -> list[_Tested]:
    """The contrasts in one set-level metric."""
    encoder, foreign = header.encoder_of(name), ", ".join(header.foreign)
    about = partial(Contrast, name, header.direction, extractor=encoder, foreign=foreign)
    return [
        _Tested(about(*pair, row.value, row.other, row.difference, row.p), None)
        for pair, row in zip(pairs, differences, strict=True)
    ]


def _turns(
    of_family: Sequence[float | None], p_values: Sequence[float | None], without: Sequence[LeaveOneOut | None]
) -> list[tuple[str, ...]]:
    """The users and prompts whose removal changes each contrast's significance; the family is tested without each."""
    leaving = [
        {} if left_out is None else dict(zip(left_out.names, left_out.p_values.tolist(), strict=True))
        for left_out in without
    ]
    turns: list[list[str]] = [[] for _ in without]
    for name in dict.fromkeys(name for left_out in leaving for name in left_out):
        again = adjusted([left_out.get(name, p) for left_out, p in zip(leaving, p_values, strict=True)])
        for i, (before, after) in enumerate(zip(of_family, again, strict=True)):
            if name in leaving[i] and _significant(before) != _significant(after):
                turns[i].append(name)
    return [tuple(left_out) for left_out in turns]


def _significant(p: float | None) -> bool:
    return p is not None and p < ALPHA


def as_json(contrasts: MeasuredContrasts) -> dict[str, Any]:
    """Contrasts as plain data, with what they are adjusted over."""
    rows = []
    for row in contrasts.rows:
        flat = {key: value for key, value in asdict(row.difference).items() if key != "value"}
        effects = asdict(row.effect) if row.effect else {"dz": None, "wins": None}
        names = ("metric", "extractor", "foreign", "direction", "method", "baseline", "value", "other", "p", "p_holm")
        own = {name: getattr(row, name) for name in names}
        rows.append({**own, "difference": row.difference.value, **flat, **effects, "turns": list(row.turns)})
    return {
        "family": contrasts.family,
        "label_swaps": contrasts.swaps,
        "rows": rows,
        "standings": contrasts.standings.as_json() if contrasts.standings else None,
        "refused": dict(contrasts.refused),
    }

"""Every picture of a run beside the baseline's picture of the same user, prompt and sample: which one is preferred?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from prefbench.api import Estimate, FloatArray, PairScorer, PrefbenchError, ReportContext, ScoredRun, Scores
from prefbench.api.near import unknown
from prefbench.score import admission
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference

from ..shared.frame import is_control, only, usual_baseline
from ..shared.labels import check_mix, label_runs
from .answers import Answers, Pair

_EVEN = 0.5


@dataclass(frozen=True)
class Duel:
    """A run against the baseline."""

    label: str
    win_rate: Estimate
    """Share of samples whose picture is preferred in both orders, ties half."""
    p: float | None
    """Of a win rate of one half."""
    ties: Estimate
    """Share of samples where the two orders name different pictures."""
    control: bool
    unranked: str
    """Why the judge must not rank the run; empty where it may."""


@dataclass(frozen=True)
class MeasuredDuels:
    """All runs against the baseline."""

    judge: str
    judge_id: str
    summary: str
    baseline: str
    rows: Sequence[Duel]
    position_bias: Estimate
    """P(the picture in the first place) minus one half, over all questions."""
    made_by: Mapping[str, Any] = field(default_factory=dict)


def duel(
    runs: Sequence[ScoredRun],
    context: ReportContext,
    judge: PairScorer,
    baseline: str,
    made_by: Mapping[str, Any],
) -> MeasuredDuels:
    """Asks the judge about every sample that a run and the baseline both have.

    Raises:
        PrefbenchError: runs that do not belong together, no such baseline, no shared sample, no judgments that only
            scorers see, and what the judge raises.
    """
    check_mix(runs)
    by_label = dict(zip(label_runs(runs), runs, strict=True))
    baseline = usual_baseline(runs, baseline)
    base = baseline if baseline in by_label else only(by_label, baseline)
    if base is None:
        raise PrefbenchError(unknown("baseline", baseline, list(by_label)))
    suite, answers = context.suite(), Answers(context.work / "duels", judge)
    record = admission.record(judge, suite.card.name, suite.digest)
    pairs = {label: _pairs(run, by_label[base]) for label, run in by_label.items() if label != base}
    if empty := [label for label, own in pairs.items() if not own]:
        raise PrefbenchError(f"{empty[0]} shares no drawn sample with {base}")
    rows, biases = [], []
    with context.bar("ask", sum(map(len, pairs.values())), "pair") as advance:
        for label, own in pairs.items():
            run = by_label[label]
            asked = answers.ask(own, (run, by_label[base]), lambda user: suite.history(user, "scorer"), advance)
            wins, biased = (_scores(own, values) for values in (asked.wins, asked.position_bias))
            missing = sum(sample.status != "ok" for sample in run.samples)
            rows.append(_duel(label, run, wins, missing, admission.unranked_by(record, run.description["method"])))
            biases.append(biased)
    return MeasuredDuels(
        judge.card.name, judge.id, judge.card.summary, base, rows, mean_interval(_joined(biases)), made_by
    )


def _pairs(run: ScoredRun, baseline: ScoredRun) -> list[Pair]:
    """Drawn samples of both runs of one user, case and index."""
    others = {(s.user, s.case, s.index): s for s in baseline.samples if s.status == "ok"}
    both = [(s, others.get((s.user, s.case, s.index))) for s in run.samples if s.status == "ok"]
    return [(own, other) for own, other in both if other is not None and other.prompt == own.prompt]


def _scores(pairs: Sequence[Pair], values: FloatArray) -> Scores:
    users, prompts = (np.array([getattr(own, name) for own, _ in pairs]) for name in ("user", "prompt"))
    return Scores(values, users, prompts)


def _joined(several: Sequence[Scores]) -> Scores:
    values, users, prompts = (
        np.concatenate([getattr(one, name) for one in several]) for name in ("values", "users", "prompts")
    )
    return Scores(values, users, prompts)


def _duel(label: str, run: ScoredRun, wins: Scores, missing: int, unranked: str) -> Duel:
    wins = replace(wins, bounds=(0.0, 1.0))
    difference = paired_difference(wins, replace(wins, values=np.full(len(wins), _EVEN)))
    ties = mean_interval(replace(wins, values=(wins.values == _EVEN).astype(np.float64)))
    rate = replace(_moved(difference.estimate, _EVEN), missing=missing)
    return Duel(label, rate, difference.p_value, ties, is_control(run), unranked)


def _moved(estimate: Estimate, by: float) -> Estimate:
    ends = (None if end is None else min(max(end + by, 0.0), 1.0) for end in (estimate.low, estimate.high))
    low, high = ends
    return replace(estimate, value=None if estimate.value is None else estimate.value + by, low=low, high=high)


def as_json(duels: MeasuredDuels) -> dict[str, Any]:
    """Plain data."""
    return {
        "judge": duels.judge,
        "judge_id": duels.judge_id,
        "baseline": duels.baseline,
        "position_bias": asdict(duels.position_bias),
        "rows": [asdict(row) for row in duels.rows],
        **duels.made_by,
    }

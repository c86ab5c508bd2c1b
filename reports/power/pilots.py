"""Runs as pilots of a larger study: how many users it takes to show an effect, and what the pilot itself could show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from prefbench.api import Cells, Grid, PrefbenchError, ScoredRun, Scores
from prefbench.registry import unknown
from prefbench.stats.power import (
    Components,
    Design,
    components,
    design_of,
    shown_by_scorer,
    smallest_effect,
    users_needed,
)

from ..contrasts.standings import shared_metric
from ..shared.cells import encoder, metric_heading, number
from ..shared.frame import BASELINE, only
from ..shared.labels import check_mix, label_runs
from ..shared.paired import on_same_keys


@dataclass(frozen=True)
class Question:
    """The effects that a study is to show, with its power, its level, and the accuracy of its scorer over pairs."""

    effects: Sequence[float] = ()
    power: float = 0.8
    alpha: float = 0.05
    accuracy: float = 1.0


@dataclass(frozen=True)
class Pilot:
    """One run, or the difference of two, in one metric: its variances, its design and the one that is planned."""

    label: str
    parts: Components
    design: Design
    planned: Design
    smallest: float
    """The smallest effect that the pilot itself shows."""
    users: Mapping[float, int | None]
    """Users needed for each effect in the planned design; None where no number suffices."""


@dataclass(frozen=True)
class Plan:
    """The pilots of a question, in one metric."""

    metric: str
    question: Question
    pilots: Sequence[Pilot]
    paired: bool
    extractor: str = ""
    """The encoder that the metric rests on, as headings name it."""


def plan(
    runs: Sequence[ScoredRun],
    question: Question,
    *,
    baseline: str,
    metric: str | None = None,
    prompts: int | None = None,
    samples: int | None = None,
) -> Plan:
    """The power of a larger study, from one run's variance or that of each run's paired difference to a baseline.

    Two runs without the baseline among them are compared with each other. An effect is the true one: of it a scorer of
    accuracy a shows 2a - 1.

    Args:
        metric: a metric over images; by default `utility`, else the first one of preference.
        prompts, samples: prompts per user and samples per prompt of the study; by default the pilot's.

    Raises:
        PrefbenchError: runs that do not belong together, no such baseline or metric, fewer than two users.
    """
    check_mix(runs)
    by_label = dict(zip(label_runs(runs), runs, strict=True))
    columns = {label: run.columns() for label, run in by_label.items()}
    name = shared_metric(columns, metric)
    if name is None:
        raise PrefbenchError("these runs have no metric of preference; name one with --metric")
    scores = {label: own[name].scores for label, own in columns.items()}
    if len(runs) > 1:
        scores = _differences(scores, baseline if baseline in by_label else only(by_label, baseline), baseline)
    pilots = [_pilot(label, own, question, prompts, samples) for label, own in scores.items()]
    return Plan(name, question, pilots, len(runs) > 1, encoder(next(iter(columns.values()))[name]))


def _differences(scores: Mapping[str, Scores], base: str | None, request: str) -> dict[str, Scores]:
    if base is None and (len(scores) > 2 or request != BASELINE):
        raise PrefbenchError(unknown("baseline", request, list(scores)))
    base = base or list(scores)[-1]
    differences = {}
    for label in [label for label in scores if label != base]:
        a, b = on_same_keys(scores[label], scores[base])
        differences[f"{label} − {base}"] = replace(a, values=a.values - b.values)
    return differences


def _pilot(label: str, scores: Scores, question: Question, prompts: int | None, samples: int | None) -> Pilot:
    level = {"power": question.power, "alpha": question.alpha}
    design = design_of(scores)
    if design.users < 2:
        raise PrefbenchError(f"{label}: a pilot needs scores of at least two users, there are {design.users}")
    parts, planned, accuracy = components(scores), design.of(prompts=prompts, samples=samples), question.accuracy
    smallest = smallest_effect(parts, design, **level) / shown_by_scorer(1, accuracy)
    users = {e: users_needed(shown_by_scorer(e, accuracy), parts, planned, **level) for e in question.effects}
    return Pilot(label, parts, design, planned, smallest, users)


def plan_grid(study: Plan) -> Grid:
    """Every pilot: its variances, what it could show, and the users needed for each effect."""
    question = study.question
    columns = ("pilot", "n users", "prompts ×\nsamples", "variance: user", "prompt", "user × prompt", "sample")
    needed = tuple(f"users for\n{effect:g}" for effect in question.effects)
    rows = [[_row(pilot, question.effects) for pilot in study.pilots]]
    what = "paired difference" if study.paired else "mean"
    metric = metric_heading(study.metric, "", study.extractor)
    title = f"power of {question.power:g} for a {what} in {metric}, two-sided at {question.alpha:g}"
    return Grid(title, (*columns, "smallest\nshown", *needed), rows, _notes(study), kept=(0,))


def _row(pilot: Pilot, effects: Sequence[float]) -> Cells:
    design, variances = pilot.design, [f"{value:.4g}" for value in asdict(pilot.parts).values()]
    users = [pilot.users[effect] for effect in effects]
    needed = ["no number" if n is None else f"{n:,}" for n in users]
    return (pilot.label, str(design.users), _size(design), *variances, number(pilot.smallest), *needed)


def _size(design: Design) -> str:
    pool = "own" if not design.pool else f"of {design.pool}"
    return f"{design.prompts:.3g} ({pool}) × {design.samples:.3g}"


def _notes(study: Plan) -> list[str]:
    planned = study.pilots[0].planned
    notes = ["smallest shown: the smallest effect that the pilot itself shows with this power."]
    if study.question.effects and planned != study.pilots[0].design:
        notes.append(f"users are for prompts × samples of {_size(planned)}.")
    if any(n is None for pilot in study.pilots for n in pilot.users.values()):
        notes.append("no number: the shared prompts alone leave too much to chance; more --prompts help, users do not.")
    if any(pilot.parts.sample == 0 and round(pilot.design.samples, 6) <= 1 for pilot in study.pilots):
        notes.append("with one sample a prompt, user × prompt holds the variance of samples too.")
    if any(not pilot.design.pool for pilot in study.pilots):
        notes.append("without shared prompts, user × prompt holds the variance of prompts too.")
    if study.question.accuracy < 1:
        share = shown_by_scorer(1, study.question.accuracy)
        notes.append(
            f"effects are true ones; a scorer of accuracy {study.question.accuracy:g} shows {share:.3g} of them."
        )
    if not study.paired:
        notes.append("one run: its mean against a fixed value. The difference of two methods takes two runs.")
    return notes


def as_json(study: Plan) -> dict[str, Any]:
    """Plain data."""
    pilots = [
        {**asdict(pilot), "users": [{"effect": effect, "users": n} for effect, n in pilot.users.items()]}
        for pilot in study.pilots
    ]
    return {
        "metric": study.metric,
        "extractor": study.extractor,
        "paired": study.paired,
        **asdict(study.question),
        "pilots": pilots,
    }

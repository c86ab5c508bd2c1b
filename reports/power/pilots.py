"""Runs as pilots of a larger study: how many users it takes to show an effect, and what the pilot itself could show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from prefbench.api import Cells, Grid, PrefbenchError, ScoredRun, Scores
from prefbench.api.near import unknown
from prefbench.stats.components import Components, Design, components, design_of
from prefbench.stats.permutation import fewest_users
from prefbench.stats.power import shown_by_scorer, smallest_effect, users_interval, users_needed
from prefbench.stats.scores import differences

from ..contrasts.standings import shared_metric
from ..shared.cells import DASH, encoder, metric_heading, number
from ..shared.frame import BASELINE, only, usual_baseline
from ..shared.labels import check_mix, label_runs
from ..shared.paired import on_shared_keys

NO_NUMBER = "no number"


@dataclass(frozen=True)
class Question:
    """The effects that a study is to show, with its power, its level, and the accuracy of its scorer over pairs."""

    effects: Sequence[float] = ()
    power: float = 0.8
    alpha: float = 0.05
    accuracy: float = 1.0


PRELIMINARY = 20
"""Users of a pilot below which what is planned from it is called preliminary."""


@dataclass(frozen=True)
class Needed:
    """Users needed for an effect, with the central 95 % of what such pilots say; None where no number suffices."""

    users: int | None
    low: int
    high: int | None


_NEEDED = tuple(field.name for field in fields(Needed))


@dataclass(frozen=True)
class Pilot:
    """One run, or the difference of two, in one metric: its variances, its design and the one that is planned."""

    label: str
    parts: Components
    design: Design
    planned: Design
    smallest: float | None
    """The smallest effect that the pilot itself shows; None for too few users to show any."""
    users: Mapping[float, Needed | None]
    """What each effect needs in the planned design; None where nothing varies in the pilot, which plans nothing."""

    @property
    def preliminary(self) -> bool:
        """Whether the pilot is too small to plan from with confidence."""
        return self.design.users < PRELIMINARY


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
        usual = usual_baseline(runs, baseline)
        scores = _differences(scores, usual if usual in by_label else only(by_label, usual), baseline)
    pilots = [_pilot(label, own, question, prompts, samples) for label, own in scores.items()]
    return Plan(name, question, pilots, len(runs) > 1, encoder(next(iter(columns.values()))[name]))


def _differences(scores: Mapping[str, Scores], base: str | None, request: str) -> dict[str, Scores]:
    if base is None and (len(scores) > 2 or request != BASELINE):
        raise PrefbenchError(unknown("baseline", request, list(scores)))
    base = base or list(scores)[-1]
    pairs = {}
    for label in [label for label in scores if label != base]:
        a, b = on_shared_keys(scores[label], scores[base])
        pairs[f"{label} − {base}"] = differences(a, b)
    return pairs


def _pilot(label: str, scores: Scores, question: Question, prompts: int | None, samples: int | None) -> Pilot:
    power, alpha = question.power, question.alpha
    design = design_of(scores)
    if design.users < 2:
        raise PrefbenchError(f"{label}: a pilot needs scores of at least two users, got {design.users}")
    parts, planned, accuracy = components(scores), design.of(prompts=prompts, samples=samples), question.accuracy
    smallest = smallest_effect(parts, design, power=power, alpha=alpha) if parts.total > 0 else None
    users = {}
    for effect in question.effects:
        shown = shown_by_scorer(effect, accuracy)
        ends = users_interval(shown, scores, planned, power=power, alpha=alpha) if parts.total > 0 else None
        needed = users_needed(shown, parts, planned, power=power, alpha=alpha)
        users[effect] = None if ends is None else Needed(needed, *ends)
    return Pilot(label, parts, design, planned, smallest and smallest / shown_by_scorer(1, accuracy), users)


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
    smallest = DASH if pilot.smallest is None else number(pilot.smallest)
    needed = [_needed(pilot, pilot.users[effect]) for effect in effects]
    return (pilot.label, str(design.users), _size(design), *variances, smallest, *needed)


def _needed(pilot: Pilot, needed: Needed | None) -> str:
    if needed is None:
        return f"{DASH}\n(nothing varies)"
    low, high, users = (NO_NUMBER if n is None else f"{n:,}" for n in (needed.low, needed.high, needed.users))
    return f"{users}\n[{low}, {high}]" + "\npreliminary" * pilot.preliminary


def _size(design: Design) -> str:
    pool = "own" if not design.pool else f"of {design.pool}"
    return f"{design.prompts:.3g} ({pool}) × {design.samples:.3g}"


def _notes(study: Plan) -> list[str]:
    notes = ["smallest shown: the smallest effect that the pilot itself shows with this power."]
    if any(pilot.smallest is None and pilot.parts.total > 0 for pilot in study.pilots):
        notes.append(f"fewer than {fewest_users(study.question.alpha)} users show nothing by the exact sign flips.")
    if study.question.effects:
        notes += _notes_on_users(study)
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


def _notes_on_users(study: Plan) -> list[str]:
    pilots, planned = study.pilots, study.pilots[0].planned
    fewest = fewest_users(study.question.alpha)
    notes = [
        "users: needed, with the central 95 % of what pilots of this size and these variances would say. Never fewer "
        f"than {fewest}, of whom the exact sign flips can fall under {study.question.alpha:g} at all."
    ]
    if planned != pilots[0].design:
        notes.append(f"users are for prompts × samples of {_size(planned)}.")
    if any(pilot.preliminary for pilot in pilots):
        notes.append(f"preliminary: a pilot of fewer than {PRELIMINARY} users.")
    for pilot in pilots:
        none = [name for name, variance in _estimated(pilot).items() if variance == 0]
        if none and pilot.parts.total > 0:
            parts = " and ".join(none)
            notes.append(f"{pilot.label}: the variance of {parts} is estimated as exactly 0, so more may be needed.")
    everyone = [needed for pilot in pilots for needed in pilot.users.values() if needed is not None]
    if any(None in (needed.users, needed.high) for needed in everyone):
        reason = "the shared prompts alone leave too much to chance; more --prompts help, users do not"
        notes.append(f"{NO_NUMBER}: {reason}.")
    return notes


def _estimated(pilot: Pilot) -> dict[str, float]:
    """The variances of users and prompts that the pilot's design can tell from the others."""
    return {"users": pilot.parts.user} | ({"prompts": pilot.parts.prompt} if pilot.design.pool else {})


def as_json(study: Plan) -> dict[str, Any]:
    """Plain data."""
    pilots = [
        {
            **asdict(pilot),
            "preliminary": pilot.preliminary,
            "users": [{"effect": e, **(asdict(n) if n else dict.fromkeys(_NEEDED))} for e, n in pilot.users.items()],
        }
        for pilot in study.pilots
    ]
    return {
        "metric": study.metric,
        "extractor": study.extractor,
        "paired": study.paired,
        **asdict(study.question),
        "pilots": pilots,
    }

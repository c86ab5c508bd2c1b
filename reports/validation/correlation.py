"""How far each metric orders pictures, users and methods as their true utility does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prefbench.api import Column, Scores
from prefbench.score.sets import SET_KEY
from prefbench.score.summary import Run
from prefbench.stats.ranks import Floats, estimate, over_methods, over_users, tau, within_users

from .bench import UTILITY, Bench

FIGURE = "preference"
"""The metric that must rank methods as the truth does."""
WANTED_TAU = 0.8
COPY, ABOVE_COPY = "copy", ("truth", "ours")
Result = dict[str, Any]


def per_image(bench: Bench) -> dict[str, Result]:
    """Within a user, over that user's pictures at all strengths together."""
    truth = _by_user([bench.scores(system, UTILITY) for system in bench.systems.strengths])
    return {
        name: within_users(
            {user: _sign(card.direction) * values for user, values in _by_user(_strengths(bench, name)).items()},
            truth,
            replicates=bench.scale.replicates,
            seed=bench.scale.seed,
        )
        for name, card in bench.cards.items()
        if card.unit == "image"
    }


def per_user(bench: Bench) -> dict[str, Result]:
    """Over users, mean value against mean utility, all at one strength."""
    pool = bench.systems.samples
    truth = _means(bench.scores(pool, UTILITY))
    return {
        name: over_users(
            _sign(card.direction) * _means(bench.scores(pool, name)),
            truth,
            replicates=bench.scale.replicates,
            seed=bench.scale.seed,
        )
        for name, card in bench.cards.items()
        if card.unit == "image"
    }


def of_systems(bench: Bench) -> Result:
    """Over the systems that are drawn here: every strength and every level of every ladder."""
    systems = (*bench.systems.strengths, *bench.systems.ladders)
    return _of_runs({system.name: bench.run(system) for system in systems}, bench)


def of_runs(runs: Mapping[str, Run], bench: Bench) -> Result:
    """Over real runs, with what is required of the metric `preference`."""
    found = _of_runs(runs, bench)
    return found | {"required": _required(found)}


def _of_runs(runs: Mapping[str, Run], bench: Bench) -> Result:
    """Kendall's tau-b over runs for every metric that all of them have, and every run's own values."""
    columns = {label: _main_columns(run) for label, run in runs.items()}
    over_sets = {label: run.set_metrics() for label, run in runs.items()}
    scored = {label: {*columns[label], *over_sets[label]} for label in runs}
    names = sorted(set.intersection(*scored.values()), key=lambda name: (name != UTILITY, name))
    result: Result = {
        "methods": {label: {name: _own(run, columns[label], name) for name in names} for label, run in runs.items()},
        "lacking": sorted(set.union(*scored.values()) - set(names)),
        "tau": {},
    }
    if UTILITY not in names:
        return result
    truth = _table([found[UTILITY].scores for found in columns.values()])
    options = {"replicates": bench.scale.replicates, "seed": bench.scale.seed}
    first_columns, first_sets = next(iter(columns.values())), next(iter(over_sets.values()))
    for name in names:
        if name in first_columns:
            sign = _sign(first_columns[name].direction)
            result["tau"][name] = over_methods(
                sign * _table([found[name].scores for found in columns.values()]), truth, **options
            )
        else:
            # No interval: a set whose users are drawn twice holds every picture twice, which moves these metrics.
            own = np.array([_number(values[name]) for values in result["methods"].values()])
            reached = tau(_sign(first_sets[name].direction) * own, np.nanmean(truth, axis=1))
            result["tau"][name] = estimate(reached, [None, None], len(runs))
    return result


def _main_columns(run: Run) -> dict[str, Column]:
    """Without the parts of metrics."""
    return {name: column for name, column in run.columns().items() if "/" not in name}


def _own(run: Run, columns: Mapping[str, Column], name: str) -> float | None:
    """A run's value of a metric: the mean over users, or that of the set."""
    if name not in columns:
        return run.set_values(name).get(SET_KEY)
    means = _means(columns[name].scores)
    return float(np.nanmean(means)) if np.isfinite(means).any() else None


def _required(found: Result) -> list[Result]:
    """What the benchmark asks of its learned metric; None where these runs cannot tell."""
    reached = found["tau"].get(FIGURE, {}).get("value")
    means = {label: values.get(FIGURE) for label, values in found["methods"].items()}
    tau_row = {
        "what": f"tau-b of {FIGURE} and true utility over {len(means)} methods and controls is at least {WANTED_TAU}",
        "found": reached,
        "passed": None if reached is None else reached >= WANTED_TAU,
    }
    return [tau_row, *(_below(means, other) for other in ABOVE_COPY)]


def _below(means: Mapping[str, float | None], other: str) -> Result:
    copy, above = means.get(COPY), means.get(other)
    known = copy is not None and above is not None
    return {
        "what": f"{COPY} does not outrank {other} by {FIGURE}",
        "found": above - copy if known else None,  # type: ignore[operator]
        "passed": above >= copy if known else None,  # type: ignore[operator]
    }


def _strengths(bench: Bench, name: str) -> list[Scores]:
    return [bench.scores(system, name) for system in bench.systems.strengths]


def _by_user(several: Sequence[Scores]) -> dict[str, Floats]:
    """All values of each user, system after system."""
    users = np.concatenate([scores.users for scores in several])
    values = np.concatenate([scores.values for scores in several])
    return {str(user): values[users == user] for user in np.unique(users)}


def _means(scores: Scores) -> Floats:
    """The mean of each user (users,) in the order of their names; NaN for users without a value."""
    users = np.unique(scores.users, return_inverse=True)[1]
    kept = np.isfinite(scores.values)
    counts = np.bincount(users, weights=kept)
    sums = np.bincount(users, weights=np.where(kept, scores.values, 0))
    return np.asarray(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))


def _table(several: Sequence[Scores]) -> Floats:
    """Means of users (methods, users); all methods drew for the same users."""
    return np.stack([_means(scores) for scores in several])


def _sign(direction: str) -> int:
    return 1 if direction == "up" else -1


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

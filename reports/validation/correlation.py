"""How far each metric orders pictures, users and methods as their true utility does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prefbench.api import Column, FloatArray, ScoredRun, Scores
from prefbench.score.sets import SET_KEY
from prefbench.stats.ranks import Correlation, estimate, over_methods, over_users, tau, within_users

from .expectations import HONEST, RANKED_BY, RIVAL, TRIVIAL, WANTED_TAU
from .measured import LIKED, UTILITY, MeasuredSystems
from .schema import MethodCorrelations, RequiredRow
from .settings import ValidationSize


def per_image(measured: MeasuredSystems) -> dict[str, Correlation]:
    """Within a user, over that user's pictures at all strengths together."""
    truth, size = _by_user(_at_all_strengths(measured, UTILITY)), measured.size
    return {
        name: within_users(
            {user: sign * values for user, values in _by_user(_at_all_strengths(measured, name)).items()},
            truth,
            replicates=size.replicates,
            seed=size.seed,
        )
        for name, sign in _signs(measured).items()
    }


def per_user(measured: MeasuredSystems) -> dict[str, Correlation]:
    """Over users, mean value against mean utility, all at one strength."""
    pool, size = measured.systems.samples, measured.size
    truth = _means(measured.scores(pool, UTILITY))
    return {
        name: over_users(sign * _means(measured.scores(pool, name)), truth, replicates=size.replicates, seed=size.seed)
        for name, sign in _signs(measured).items()
    }


def of_systems(measured: MeasuredSystems) -> MethodCorrelations:
    """Over the systems that are drawn here: every strength and every level of every ladder."""
    systems = (*measured.systems.strengths, *measured.systems.ladders)
    return _of_methods({system.name: measured.run(system) for system in systems}, measured.size)


def of_runs(runs: Mapping[str, ScoredRun], size: ValidationSize) -> MethodCorrelations:
    """Over real runs, with what is required of the metric that ranks methods."""
    correlations = _of_methods(runs, size)
    return {**correlations, "required": required(correlations)}


def _of_methods(runs: Mapping[str, ScoredRun], size: ValidationSize) -> MethodCorrelations:
    """Kendall's tau-b over runs for every metric that all of them have, and every run's own values."""
    columns = {label: _main_columns(run) for label, run in runs.items()}
    scored = {label: {*columns[label], *run.set_metrics()} for label, run in runs.items()}
    names = sorted(set.intersection(*scored.values()), key=lambda name: (name != UTILITY, name))
    methods = {label: {name: _own(run, columns[label], name) for name in names} for label, run in runs.items()}
    found: MethodCorrelations = {
        "methods": methods,
        "lacking": sorted(set.union(*scored.values()) - set(names)),
        "tau": _taus(runs, methods, UTILITY, size),
    }
    liked = _taus(runs, methods, LIKED, size)
    return {**found, "tau_liked": liked} if liked else found


def _taus(
    runs: Mapping[str, ScoredRun],
    methods: Mapping[str, Mapping[str, float | None]],
    truth: str,
    size: ValidationSize,
) -> dict[str, Correlation]:
    """Every metric's tau-b with a column of the truth; empty where some run has no such column."""
    columns = {label: run.columns() for label, run in runs.items()}
    if not all(truth in own for own in columns.values()):
        return {}
    true, set_metrics = _table(columns, truth), next(iter(runs.values())).set_metrics()
    taus: dict[str, Correlation] = {}
    for name in next(iter(methods.values())):
        if name in set_metrics:
            own = np.array([_number(values[name]) for values in methods.values()])
            taus[name] = _set_tau(_sign(set_metrics[name].direction) * own, true)
        else:
            sign = _sign(next(iter(columns.values()))[name].direction)
            taus[name] = over_methods(sign * _table(columns, name), true, replicates=size.replicates, seed=size.seed)
    return taus


def _set_tau(values: FloatArray, truth: FloatArray) -> Correlation:
    """Without an interval: resampling users would show a set the same picture twice, which moves these metrics."""
    return estimate(tau(values, np.nanmean(truth, axis=1)), (None, None), len(values))


def _main_columns(run: ScoredRun) -> dict[str, Column]:
    """The columns of whole metrics, without those of their groups."""
    return {name: column for name, column in run.columns().items() if "/" not in name}


def _own(run: ScoredRun, columns: Mapping[str, Column], name: str) -> float | None:
    """A run's value of a metric: the mean over users, or that of the set."""
    if name not in columns:
        return run.set_values(name).get(SET_KEY)
    means = _means(columns[name].scores)
    return float(np.nanmean(means)) if np.isfinite(means).any() else None


def required(correlations: MethodCorrelations) -> list[RequiredRow]:
    """Whether the learned metric ranks as the benchmark requires; None where these runs cannot tell."""
    liked = correlations.get("tau_liked", {})
    reached, rival = (liked.get(name, {"value": None})["value"] for name in (RANKED_BY, RIVAL))
    means = {label: values.get(RANKED_BY) for label, values in correlations["methods"].items()}
    over = f"over {len(means)} methods and controls"
    above = None if reached is None or rival is None else reached - rival
    return [
        {
            "what": f"tau-b of {RANKED_BY} and the true P(liked) {over} is at least {WANTED_TAU}",
            "found": reached,
            "passed": None if reached is None else reached >= WANTED_TAU,
        },
        {
            "what": f"tau-b of {RANKED_BY} and the true P(liked) {over} is above that of {RIVAL}",
            "found": above,
            "passed": None if above is None else above > 0,
        },
        *(_below(means, honest) for honest in HONEST),
    ]


def _below(means: Mapping[str, float | None], honest: str) -> RequiredRow:
    trivial, mean = means.get(TRIVIAL), means.get(honest)
    what = f"{TRIVIAL} does not outrank {honest} by {RANKED_BY}"
    if trivial is None or mean is None:
        return {"what": what, "found": None, "passed": None}
    return {"what": what, "found": mean - trivial, "passed": mean >= trivial}


def _signs(measured: MeasuredSystems) -> dict[str, int]:
    """1 or -1 for every per-image metric, by its direction."""
    return {name: _sign(card.direction) for name, card in measured.cards.items() if card.unit == "image"}


def _at_all_strengths(measured: MeasuredSystems, name: str) -> list[Scores]:
    return [measured.scores(system, name) for system in measured.systems.strengths]


def _by_user(systems: Sequence[Scores]) -> dict[str, FloatArray]:
    """All values of each user, system after system."""
    users = np.concatenate([scores.users for scores in systems])
    values = np.concatenate([scores.values for scores in systems])
    return {str(user): values[users == user] for user in np.unique(users)}


def _means(scores: Scores) -> FloatArray:
    """The mean of each user (users,) in the order of their names; NaN for users without a value."""
    users = np.unique(scores.users, return_inverse=True)[1]
    finite = np.isfinite(scores.values)
    counts = np.bincount(users, weights=finite)
    sums = np.bincount(users, weights=np.where(finite, scores.values, 0))
    return np.asarray(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))


def _table(columns: Mapping[str, Mapping[str, Column]], name: str) -> FloatArray:
    """Means of users (methods, users); all methods drew for the same users."""
    return np.stack([_means(of_run[name].scores) for of_run in columns.values()])


def _sign(direction: str) -> int:
    return 1 if direction == "up" else -1


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

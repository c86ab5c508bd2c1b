"""What a learned scorer overpays: methods that pick by its encoder, and scorers that know what methods were shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefbench.api import VIEWERS, Evidence, ImageMetric, Scored, Scores, Viewer
from prefbench.stats.bootstrap import crossed_bootstrap

from .bench import UTILITY, Bench

Result = dict[str, Any]
Floats = NDArray[np.float64]
SHARED, OTHER = "preference", "fidelity"
"""Roles of the encoders that pictures are picked by: the scorer's own, and one that it does not know."""


def dials(bench: Bench) -> dict[str, list[Result]]:
    """For each metric with a personal scorer: what pictures gain that were picked from several of one system.

    Inflation is the gain in the metric minus what the gain in true utility is worth. That worth is the slope of the
    metric on utility within users, over all pictures and under the same judgments.
    """
    return {
        name: _metric(bench, name, metric)
        for name, metric in bench.over_images.items()
        if metric.scorer is not None and metric.scorer.card.personal and "scorer" in metric.card.asks_histories
    }


def _metric(bench: Bench, name: str, metric: ImageMetric) -> list[Result]:
    truth = bench.scores(bench.systems.samples, UTILITY)
    rows = []
    for viewer in reversed(VIEWERS):
        said = bench.scores(bench.systems.samples, name) if viewer == "scorer" else _asked_with(bench, metric, viewer)
        for by, likeness in (
            ("true utility", truth.values),
            (f"likeness to likes in its own encoder, {bench.suite.card.extractors[SHARED]}", _likeness(bench, SHARED)),
            (f"likeness to likes in another encoder, {bench.suite.card.extractors[OTHER]}", _likeness(bench, OTHER)),
        ):
            rows.append({"judgments": viewer, "picked_by": by, **_inflation(said, truth, likeness, bench)})
    return rows


def _inflation(said: Scores, truth: Scores, likeness: Floats, bench: Bench) -> Result:
    """Gains of the picture of each case that is most alike, over the mean picture of the case."""
    several = bench.scale.samples
    values, true = (scores.values.reshape(-1, several) for scores in (said, truth))
    picked = np.argmax(likeness.reshape(-1, several), axis=1)[:, None]
    gain, due = (np.take_along_axis(v, picked, axis=1)[:, 0] - v.mean(axis=1) for v in (values, true))
    slope = _slope(said, truth)
    users, prompts = said.users[::several], said.prompts[::several]
    options = {"replicates": bench.scale.replicates, "seed": bench.scale.seed}
    found = {
        "gain": gain,
        "utility_gain": due,
        "inflation": gain - slope * due,
    }
    shown = ("value", "low", "high")
    return {"slope": slope} | {
        key: {k: v for k, v in asdict(crossed_bootstrap(Scores(each, users, prompts), **options)).items() if k in shown}
        for key, each in found.items()
    }


def _slope(said: Scores, truth: Scores) -> float:
    """Of the metric on utility, within users."""
    kept = np.isfinite(said.values) & np.isfinite(truth.values)
    users = np.unique(said.users[kept], return_inverse=True)[1]
    y, x = (scores.values[kept] for scores in (said, truth))
    y, x = (v - (np.bincount(users, weights=v) / np.bincount(users))[users] for v in (y, x))
    return float(x @ y / (x @ x))


def _asked_with(bench: Bench, metric: ImageMetric, viewer: Viewer) -> Scores:
    """The metric on the same pictures where its scorer is given another part of the users' judgments."""
    pool = bench.systems.samples
    samples = bench.run(pool).samples
    users = [user.id for user in bench.suite.users(pool.split)][: pool.users]
    histories = {user: bench.suite.history(user, viewer) for user in users}
    scored = [Scored(s.key, s.user, s.prompt, p) for s, p in zip(samples, bench.pixels(pool), strict=True)]
    found = metric.score(scored, None, Evidence(None, {}, {"scorer": histories}))[metric.card.name]
    own = bench.scores(pool, UTILITY)
    return Scores(np.array([np.nan if v is None else v for v in found]), own.users, own.prompts)


def _likeness(bench: Bench, role: str) -> Floats:
    """Cosine (N,) of each picture to the mean of the likes that methods see, about the mean of all pictures."""
    pool = bench.systems.samples
    users = np.array([sample.user for sample in bench.run(pool).samples])
    features = bench.features(pool, role)
    middle = features.mean(axis=0)
    found = np.zeros(len(users))
    for user in np.unique(users):
        likes = [judgment.picture for judgment in bench.suite.history(str(user), "method").liked]
        wanted = bench.judged(pool, role, likes).mean(axis=0) - middle
        mine = features[users == user] - middle
        found[users == user] = mine @ wanted / (np.linalg.norm(mine, axis=1) * np.linalg.norm(wanted) + 1e-12)
    return found

"""How far a learned scorer overrates methods that pick by its encoder, or whose histories it knows."""

from __future__ import annotations

import numpy as np

from prefbench.api import VIEWERS, DrawnImages, Evidence, FloatArray, ImageMetric, Scored, Scores, Viewer
from prefbench.stats.means import mean_interval

from .claims import Interval
from .measured import UTILITY, MeasuredSystems
from .schema import PickedGain
from .settings import ValidationSize

SHARED, OTHER = "preference", "fidelity"
"""Roles of the encoders that pictures are picked by: the scorer's own, and one that it does not know."""


def selection_bias(measured: MeasuredSystems) -> dict[str, list[PickedGain]]:
    """For each metric with a personal scorer: what pictures gain that were picked from several of one system.

    Inflation is the gain in the metric minus what the gain in true utility is worth. That worth is the slope of the
    metric on utility within users, over all pictures and under the same judgments.
    """
    return {
        name: _gains(measured, name, metric)
        for name, metric in measured.image_metrics.items()
        if metric.scorer is not None and metric.scorer.card.personal and "scorer" in metric.card.asks_histories
    }


def _gains(measured: MeasuredSystems, name: str, metric: ImageMetric) -> list[PickedGain]:
    pool, extractors = measured.systems.samples, measured.suite.card.extractors
    truth = measured.scores(pool, UTILITY)
    likenesses = {
        "true utility": truth.values,
        f"likeness to likes in its own encoder, {extractors[SHARED]}": _likeness(measured, SHARED),
        f"likeness to likes in another encoder, {extractors[OTHER]}": _likeness(measured, OTHER),
    }
    rows = []
    for viewer in reversed(VIEWERS):
        scores = measured.scores(pool, name) if viewer == "scorer" else _scores_given(measured, metric, viewer)
        rows += [
            inflation(scores, truth, likeness, measured.size, judgments=viewer, picked_by=picked_by)
            for picked_by, likeness in likenesses.items()
        ]
    return rows


def inflation(
    scores: Scores, truth: Scores, likeness: FloatArray, size: ValidationSize, *, judgments: str, picked_by: str
) -> PickedGain:
    """Gains of the picture of each case that is most alike, over the mean picture of the case."""
    values, utilities = (column.values.reshape(-1, size.samples) for column in (scores, truth))
    best = np.argmax(likeness.reshape(-1, size.samples), axis=1)[:, None]
    gain, utility_gain = (np.take_along_axis(v, best, axis=1)[:, 0] - v.mean(axis=1) for v in (values, utilities))
    slope = _slope(scores, truth)
    users, prompts = scores.users[:: size.samples], scores.prompts[:: size.samples]

    def interval(gains: FloatArray) -> Interval:
        estimate = mean_interval(Scores(gains, users, prompts))
        return {"value": estimate.value, "low": estimate.low, "high": estimate.high}

    return {
        "judgments": judgments,
        "picked_by": picked_by,
        "slope": slope,
        "gain": interval(gain),
        "utility_gain": interval(utility_gain),
        "inflation": interval(gain - slope * utility_gain),
    }


def _slope(scores: Scores, truth: Scores) -> float:
    """Least-squares slope of the metric on utility, both centred within users."""
    finite = np.isfinite(scores.values) & np.isfinite(truth.values)
    users = np.unique(scores.users[finite], return_inverse=True)[1]
    y, x = (column.values[finite] for column in (scores, truth))
    y, x = (v - (np.bincount(users, weights=v) / np.bincount(users))[users] for v in (y, x))
    return float(x @ y / (x @ x))


def _scores_given(measured: MeasuredSystems, metric: ImageMetric, viewer: Viewer) -> Scores:
    """The metric on the same pictures where its scorer is given the judgments of another viewer."""
    pool = measured.systems.samples
    samples = measured.run(pool).samples
    users = [user.id for user in measured.suite.users(pool.split)][: pool.users]
    histories = {user: measured.suite.history(user, viewer) for user in users}
    scored = [Scored(s.key, s.user, s.prompt, p) for s, p in zip(samples, measured.pixels(pool), strict=True)]
    values = metric.score(DrawnImages(scored, None, Evidence(None, {}, {"scorer": histories})))[metric.card.name]
    own = measured.scores(pool, UTILITY)
    return Scores(np.array([np.nan if v is None else v for v in values]), own.users, own.prompts)


def _likeness(measured: MeasuredSystems, role: str) -> FloatArray:
    """Cosine (N,) of each picture to the mean of the likes that methods see, about the mean of all pictures."""
    pool = measured.systems.samples
    users = np.array([sample.user for sample in measured.run(pool).samples])
    features = measured.features(pool, role)
    mean = features.mean(axis=0)
    cosines = np.zeros(len(users))
    for user in np.unique(users):
        likes = [judgment.picture for judgment in measured.suite.history(str(user), "method").liked]
        direction = measured.judged_features(pool, role, likes).mean(axis=0) - mean
        own = features[users == user] - mean
        cosines[users == user] = own @ direction / (np.linalg.norm(own, axis=1) * np.linalg.norm(direction) + 1e-12)
    return cosines

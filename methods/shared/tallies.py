"""Tastes as tallies: phrases and learned directions counted in what a person likes, less those in what is disliked.

Everything is learned from people's judgments and from what a suite says their pictures show; no model of how people
choose is assumed but a logistic one. With the features f of a picture (`Eyes`) and a person's tally
d = sum of f over likes / (n + 2) - sum of f over dislikes / (m + 2), a picture's value is f.(A d + e): A says what a
tally means for each feature, e is what everybody likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import minimize
from scipy.special import expit

from prefbench.api import Features, FloatArray, History, Judgment, PrefbenchError, TrainUser

COMPONENTS = 192
"""Principal components of tower states that are kept."""
DIRECTIONS = 12
"""What people like beside phrases: directions that no phrase explains."""
_RIDGE = 100.0
_DOUBT = 2.0
"""Judgments of a side that count as much as the belief that there is nothing in them."""
_PRECISIONS = (3.0, 10.0, 30.0, 100.0, 300.0)
_GROUP = 8
"""Comparisons that stand for a history while learning."""
States = Callable[[Sequence[Image.Image]], Features]


@dataclass(frozen=True)
class Eyes:
    """Tower states to features: how much of each phrase a picture shows, then the directions."""

    phrases: tuple[str, ...]
    mean: Features
    whitening: Features
    """(D, components)"""
    probes: Features
    """(1 + components, phrases)"""
    spoken: Features
    """(1 + phrases, components): the components that phrases explain."""
    directions: Features
    """(components, directions)"""
    centre: Features
    scale: Features
    """(features,) of the raw features: theirs have mean 0 and spread 1."""

    def components(self, states: Features) -> Features:
        """(N, components), of unit variance over people's pictures."""
        return np.asarray((states - self.mean) @ self.whitening)

    def features(self, states: Features) -> Features:
        """(N, phrases + directions)"""
        return np.asarray((self.raw(self.components(states)) - self.centre) / self.scale)

    def raw(self, components: Features) -> Features:
        """The same before they are centred and scaled."""
        shown = (_with_one(components) @ self.probes).clip(0, 1)
        return np.hstack([shown, (components - _with_one(shown) @ self.spoken) @ self.directions])


@dataclass(frozen=True)
class Tallied:
    """What was learned of people's tastes."""

    eyes: Eyes
    meaning: Features
    """A, (features, features)"""
    everybody: Features
    """e, (features,)"""
    excluded: NDArray[np.bool_]
    """(phrases, phrases) whether no picture shows both: values of one attribute; each excludes itself."""

    def weights(self, liked: Features, disliked: Features) -> Features:
        """A d + e (features,) of a person, from the states of what they judged."""
        sides = (self.eyes.features(side) for side in (liked, disliked))
        return np.asarray(self.meaning @ tally_of(*sides) + self.everybody)

    def words(self, weights: Features, least: float) -> list[str]:
        """The best phrase of each attribute whose gain over the attribute's mean, in log-odds, is over `least`."""
        phrases = self.eyes.phrases
        gains = weights[: len(phrases)] / self.eyes.scale[: len(phrases)]
        over = gains - (self.excluded @ gains) / self.excluded.sum(axis=1)
        chosen: list[int] = []
        for place in np.argsort(-over, kind="stable").tolist():
            if over[place] > least and not self.excluded[place, chosen].any():
                chosen.append(place)
        return [phrases[place] for place in chosen]


def tally_of(liked: Features, disliked: Features) -> Features:
    """A person's tally (features,), nearer to 0 the less was judged."""
    likes, dislikes = (side.sum(axis=0) / (len(side) + _DOUBT) for side in (liked, disliked))
    return np.asarray(likes - dislikes)


def learn(people: Sequence[TrainUser], states_of: States) -> Tallied:
    """Learns from what people judged.

    Args:
        states_of: pictures to tower states (N, D).

    Raises:
        PrefbenchError: fewer than two people with two comparisons or more.
    """
    pictures = {j.picture.digest: j.picture for one in people for j in _judged(one.history)}
    places = {digest: place for place, digest in enumerate(pictures)}
    compared = [rows for one in people if len(rows := _comparisons(one.history, places)) > 1]
    if len(compared) < 2:
        raise PrefbenchError("tastes are learned from at least two people who like two pictures and dislike two others")
    states = states_of([picture.load() for picture in pictures.values()])
    mean, whitening = _whitening(states)
    components = (states - mean) @ whitening
    shows = {digest: phrases for one in people for digest, phrases in one.shows.items()}
    phrases = tuple(sorted({phrase for of_picture in shows.values() for phrase in of_picture}))
    shown = np.array([[phrase in shows.get(digest, ()) for phrase in phrases] for digest in pictures], dtype=np.float64)
    shown = shown.reshape(len(pictures), len(phrases))
    probes, spoken = _ridge(components, shown, _RIDGE), _ridge(shown, components, 1e-6)
    directions = _directions(_fitted(components, compared).meaning, spoken[1:])
    unscaled = Eyes(phrases, mean, whitening, probes, spoken, directions, np.zeros(1), np.ones(1))
    raw = unscaled.raw(components)
    scale = np.maximum(raw.std(axis=0), 1e-6)
    eyes = Eyes(phrases, mean, whitening, probes, spoken, directions, raw.mean(axis=0), scale)
    taste = _fitted((raw - eyes.centre) / scale, compared)
    return Tallied(eyes, taste.meaning, taste.everybody, _excluded(shown))


def _excluded(shown: Features) -> NDArray[np.bool_]:
    """(phrases, phrases) of shown (N, phrases): whether no picture shows both; a phrase goes with its rivals."""
    return np.asarray((shown.T @ shown == 0) | np.eye(shown.shape[1], dtype=bool))


def _judged(history: History) -> list[Judgment]:
    return [*history.liked, *history.disliked]


def _comparisons(history: History, places: Mapping[str, int]) -> NDArray[np.int64]:
    """Places (N, 2) of what was liked and what was not: of pairs, and of single judgments in their order."""
    sides: list[dict[str, int]] = []
    for side in (history.liked, history.disliked):
        names = (f"pair {one.pair}" if one.pair is not None else f"single {i}" for i, one in enumerate(side))
        sides.append(dict(zip(names, (places[one.picture.digest] for one in side), strict=True)))
    both = [(sides[0][name], sides[1][name]) for name in sides[0] if name in sides[1]]
    return np.array(both, dtype=np.int64).reshape(-1, 2)


def _whitening(states: Features) -> tuple[Features, Features]:
    """The mean (D,) and the map (D, components) to principal components of unit variance."""
    mean = states.mean(axis=0)
    centred = states - mean
    if len(states) < states.shape[1]:  # the same by way of fewer rows
        _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
        values, axes = sizes**2 / (len(states) - 1), rows.T
    else:
        values, axes = (found[..., ::-1] for found in np.linalg.eigh(np.cov(centred, rowvar=False)))
    kept = np.flatnonzero(values > 1e-9 * values[0])[:COMPONENTS]
    return mean, axes[:, kept] / np.sqrt(values[kept])


def _with_one(rows: Features) -> Features:
    return np.hstack([np.ones((len(rows), 1)), rows])


def _ridge(x: Features, y: Features, penalty: float) -> Features:
    """Coefficients (1 + columns of x, columns of y), the intercept first."""
    design = _with_one(x)
    return np.asarray(np.linalg.solve(design.T @ design + penalty * np.eye(design.shape[1]), design.T @ y), np.float64)


def _directions(meaning: Features, spoken: Features) -> Features:
    """The directions (components, n) that weigh most in people's tastes beside what phrases explain."""
    span = np.linalg.svd(spoken, full_matrices=False)[2] if len(spoken) else np.zeros((0, len(meaning)))
    free = np.eye(len(meaning)) - span.T @ span
    values, axes = np.linalg.eigh(free @ (meaning + meaning.T) @ free)
    return np.asarray(axes[:, np.argsort(-np.abs(values), kind="stable")[:DIRECTIONS]])


class _Taste(NamedTuple):
    meaning: Features
    everybody: Features


class _Learned(NamedTuple):
    """Comparisons to predict, each from the tally of other comparisons of the same person."""

    preferred: Features
    """(N, F) features of what was liked minus those of what was not."""
    tallies: Features
    """(T, F)"""
    of: NDArray[np.int64]
    """(N,) the tally that each comparison is predicted from, in rising order; none is left out."""


def _fitted(features: Features, compared: Sequence[NDArray[np.int64]]) -> _Taste:
    """A and e of most probability under a Gaussian prior, whose precision predicts every second person best."""
    halves = [_learned(features, compared[side::2]) for side in (0, 1)]
    losses = [_loss(_fit(halves[0], precision), halves[1]) for precision in _PRECISIONS]
    return _fit(_learned(features, compared), _PRECISIONS[int(np.argmin(losses))])


def _learned(features: Features, compared: Sequence[NDArray[np.int64]]) -> _Learned:
    preferred, tallies, of = [], [], list[int]()
    for rows in compared:
        for start in range(0, len(rows), _GROUP):
            own = np.zeros(len(rows), dtype=bool)
            own[start : start + _GROUP] = True
            if own.all():
                own[len(rows) // 2 :] = False
            if not own.any():
                continue
            tallies.append(tally_of(features[rows[own, 0]], features[rows[own, 1]]))
            others = rows[~own]
            preferred.append(features[others[:, 0]] - features[others[:, 1]])
            of += [len(tallies) - 1] * len(others)
    return _Learned(np.concatenate(preferred), np.array(tallies), np.array(of, dtype=np.int64))


def _margins(taste: _Taste, learned: _Learned) -> FloatArray:
    weights = learned.tallies @ taste.meaning.T + taste.everybody
    return np.asarray((learned.preferred * weights[learned.of]).sum(axis=1))


def _loss(taste: _Taste, learned: _Learned) -> float:
    return float(np.logaddexp(0, -_margins(taste, learned)).sum())


def _fit(learned: _Learned, precision: float) -> _Taste:
    """The A and e of least loss + precision / 2 (|A|² + |e|²)."""
    n = learned.preferred.shape[1]
    starts = np.searchsorted(learned.of, np.arange(len(learned.tallies)))

    def unpacked(flat: FloatArray) -> _Taste:
        return _Taste(flat[: n * n].reshape(n, n), flat[n * n :])

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        taste = unpacked(flat)
        margins = _margins(taste, learned)
        pull = learned.preferred * -expit(-margins)[:, None]
        sums = np.add.reduceat(pull, starts, axis=0)
        slopes = np.concatenate([(sums.T @ learned.tallies).ravel(), sums.sum(axis=0)])
        loss = float(np.logaddexp(0, -margins).sum() + precision / 2 * flat @ flat)
        return loss, slopes + precision * flat

    found = minimize(objective, np.zeros(n * n + n), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return unpacked(np.asarray(found.x))

"""The layers that tell a user's likes from dislikes, if any does: better than chance, and because of the history."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from prefbench.api import Estimate, FloatArray, PrefbenchError, Scores
from prefbench.probing.folds import crossed_folds
from prefbench.probing.influence import liking_rows
from prefbench.probing.labels import ProbeLabels
from prefbench.probing.preference_probe import INVERSE_PENALTY, liking_scores
from prefbench.probing.table import ProbedLayer
from prefbench.stats.means import mean_interval
from prefbench.stats.table import Names

_CHANCE = 0.5


@dataclass(frozen=True)
class LikingLayer:
    """One layer's held-out balanced accuracy, and how far it is above states that saw another user's history."""

    layer: ProbedLayer
    accuracy: Estimate
    above_mismatched: Estimate
    stability: float
    """Share of the halves of users in which it passes and is among the best."""

    @property
    def passes(self) -> bool:
        """Whether both intervals lie above: over chance, and over another user's history."""
        low, over = self.accuracy.low, self.above_mismatched.low
        return low is not None and over is not None and low > _CHANCE and over > 0


@dataclass(frozen=True)
class LikingChoice:
    """The chosen layers, lowest first; none where no layer passes."""

    layers: tuple[int, ...]
    tested: tuple[LikingLayer, ...]
    nested: Estimate
    """Mean accuracy of what a half of the users chose, on the other half; its best layer stands where none passed."""


def choose_liking_layers(
    states: Mapping[ProbedLayer, FloatArray],
    labels: ProbeLabels,
    mismatched: Mapping[ProbedLayer, FloatArray],
    *,
    most: int = 4,
    candidates: Collection[ProbedLayer] | None = None,
    repeats: int = 4,
    stable: float = 0.5,
    folds: int = 4,
    inverse_penalty: float = INVERSE_PENALTY,
    seed: int = 0,
) -> LikingChoice:
    """At most `most` layers, those of the highest accuracy that pass (`LikingLayer.passes`) and are chosen stably.

    Every repetition deals users and prompts into other folds; an accuracy is the mean over the repetitions. Then the
    users are halved as often, and each half chooses for the other: `stability` and `nested` are of these choices.

    Args:
        states, mismatched: (N, W) each, rows as in `labels`; see `probe_liking`.
        stable: least share of the halves that must choose a layer.

    Raises:
        PrefbenchError: no candidate, or as `probe_liking`.
    """
    allowed = sorted(states if candidates is None else candidates)
    if not allowed or most < 1:
        raise PrefbenchError(f"probing: {most} layers cannot be chosen from {allowed}")

    def accuracy(of: FloatArray) -> FloatArray:
        seeds = [seed + 10 * repeat for repeat in range(repeats)]
        mean: FloatArray = np.mean([_accuracy_rows(of, labels, folds, inverse_penalty, s) for s in seeds], axis=0)
        return mean

    rows = {layer: (accuracy(states[layer]), accuracy(mismatched[layer])) for layer in allowed}
    everybody = np.unique(labels.users)
    nested, counts = _halved(rows, labels, everybody, most, repeats, seed)
    steady = {layer: pair for layer, pair in rows.items() if counts[layer] >= stable - 1e-9}
    chosen = _best(steady, labels, everybody, most)
    tested = tuple(_tested(layer, *rows[layer], labels, everybody, counts[layer]) for layer in allowed)
    return LikingChoice(tuple(sorted(layer.layer for layer in chosen)), tested, nested)


_Rows = Mapping[ProbedLayer, tuple[FloatArray, FloatArray]]
"""Influence values (N,) of the accuracy after the own history and after another user's."""


def _accuracy_rows(
    states: FloatArray, labels: ProbeLabels, folds: int, inverse_penalty: float, seed: int
) -> FloatArray:
    crossed = crossed_folds(labels, folds=folds, seed=seed)
    scores = liking_scores(states, labels, folds=crossed, inverse_penalty=inverse_penalty)
    return liking_rows(scores, labels)[1]


def _tested(
    layer: ProbedLayer, own: FloatArray, other: FloatArray, labels: ProbeLabels, users: Names, stability: float
) -> LikingLayer:
    of_users = np.isin(labels.users, users)
    names = labels.users[of_users], labels.prompts[of_users]
    accuracy, above = (mean_interval(Scores(values[of_users], *names)) for values in (own, own - other))
    return LikingLayer(layer, accuracy, above, stability)


def _best(rows: _Rows, labels: ProbeLabels, users: Names, most: int) -> list[ProbedLayer]:
    """Those that pass among some users, the most accurate first."""
    tested = [_tested(layer, *pair, labels, users, 0.0) for layer, pair in rows.items()]
    passing = [one for one in tested if one.passes]
    return [one.layer for one in sorted(passing, key=lambda one: -(one.accuracy.value or 0))[:most]]


def _halved(
    rows: _Rows, labels: ProbeLabels, users: Names, most: int, repeats: int, seed: int
) -> tuple[Estimate, dict[ProbedLayer, float]]:
    """What each half's choice is worth on the other half's users, and the share of halves that chose each layer."""
    total, count = np.zeros(len(labels)), dict.fromkeys(rows, 0.0)
    for repeat in range(repeats):
        one, other = np.array_split(np.random.default_rng([seed, repeat]).permutation(users), 2)
        for choosing, measured in ((one, other), (other, one)):
            chosen = _best(rows, labels, choosing, most)
            for layer in chosen:
                count[layer] += 1 / (2 * repeats)
            on = np.isin(labels.users, measured)
            worth = [rows[layer][0] for layer in chosen or [_most_accurate(rows, labels, choosing)]]
            total[on] += np.mean(worth, axis=0)[on] / repeats
    return mean_interval(Scores(total, labels.users, labels.prompts)), count


def _most_accurate(rows: _Rows, labels: ProbeLabels, users: Names) -> ProbedLayer:
    on = np.isin(labels.users, users)
    return max(rows, key=lambda layer: float(np.nanmean(rows[layer][0][on])))

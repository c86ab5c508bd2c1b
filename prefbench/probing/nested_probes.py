"""Probes whose layer is chosen on one half of the users and reported on the other, and the other way round.

Every half is measured in the layer that the other half chose, so no user's value gains by the luck of the choice.
There is one value per user; their mean is the statistic, and users are what its interval resamples. So no two users'
values may depend on each other: in plain cross-validation each user is fitted on where the other is tested, and both
gain by one coincidence (Bengio & Grandvalet, JMLR 2004: no estimate of such a variance is unbiased). At chance,
intervals of 95 % then cover 86 to 90 %. `one_way_folds` fit in one direction only, which costs 0.02 of an AUC of 0.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray, PrefbenchError
from prefbench.probing.folds import one_way_folds
from prefbench.probing.influence import by_user, liking_rows, recall_rows, verification_rows
from prefbench.probing.labels import Indices, ProbeLabels
from prefbench.probing.preference_probe import liking_scores
from prefbench.probing.table import state_matrix
from prefbench.probing.user_probe import StatePair, similarities, whitened

_FOLDS = 2
"""Users who choose a layer are so few that more folds would leave too few to compare."""


class NestedUserProbe(NamedTuple):
    """How users are told apart, (U,) in their order, and the layer that each half of them chose for the other."""

    verification: FloatArray
    """Influence values of the AUC; chance 0.5."""
    recall: FloatArray
    """Recall at 1 among `gallery`; chance 1 / gallery."""
    layers: tuple[str, str]


class NestedPreferenceProbe(NamedTuple):
    """How a user's liked and disliked pictures are told apart: (U,), users sorted, NaN for those without both."""

    auc: FloatArray
    accuracy: FloatArray
    """Balanced; chance 0.5."""
    control: FloatArray
    """The accuracy of the same probe on labels without meaning; NaN too for users whose labels are all alike there."""
    layers: tuple[str, str]


def nested_user_probe(pairs: Mapping[str, StatePair], *, gallery: int = 10, seed: int = 0) -> NestedUserProbe:
    """Verification and retrieval in the layer that tells users of the other half apart best.

    The other half's states serve for whitening, too; nothing else passes between the halves.

    Raises:
        PrefbenchError: a state is not finite, or there are fewer than twice `gallery` users.
    """
    users = len(next(iter(pairs.values())).first)
    if users < 2 * gallery:
        raise PrefbenchError(f"telling users apart in a gallery of {gallery} needs {2 * gallery} users, got {users}")

    def auc(layer: str, half: Indices) -> float:
        similar = similarities(_select(pairs[layer], half), comparison="whitened", folds=_FOLDS, seed=seed)
        return float(verification_rows(similar).mean())

    halves = _halves(users, seed)
    best = _best_layers(sorted(pairs), halves, auc)
    rows = np.full((2, users), np.nan)
    for own, other, layer in zip(halves, halves[::-1], best[::-1], strict=True):
        similar = whitened(_select(pairs[layer], own), _select(pairs[layer], other))
        rows[:, own] = verification_rows(similar), recall_rows(similar, gallery)
    return NestedUserProbe(rows[0], rows[1], best)


def nested_preference_probe(
    states: Mapping[str, FloatArray], labels: ProbeLabels, *, seed: int = 0
) -> NestedPreferenceProbe:
    """The probe of `liking` in the layer in which it does best for the other half of the users.

    A half chooses by itself alone, in `crossed_folds`; it is measured in `one_way_folds` of all users. The control's
    labels are by prompt, and its folds keep only users apart: what recurs is there to be remembered.

    Raises:
        PrefbenchError: as `liking`, of either half.
    """
    names, position = np.unique(labels.users, return_inverse=True)
    halves = _halves(len(names), seed)

    def auc_of(layer: str, half: Indices) -> float:
        rows = np.flatnonzero(np.isin(position, half))
        own = labels.select(rows)
        scores = liking_scores(states[layer][rows], own, seed=seed)
        return float(np.nanmean(by_user(liking_rows(scores, own)[0], own)))

    best = _best_layers(sorted(states), halves, auc_of)
    meaningless = labels.without_meaning(labels.prompts, seed)
    folds = one_way_folds(labels, seed=seed)
    control_folds = one_way_folds(meaningless, seed=seed, by_prompt=False)
    values = np.full((3, len(names)), np.nan)
    for half, layer in zip(halves, best[::-1], strict=True):
        auc, accuracy = liking_rows(liking_scores(states[layer], labels, folds=folds), labels)
        control = liking_rows(liking_scores(states[layer], meaningless, folds=control_folds), meaningless)[1]
        for row, influence in enumerate((auc, accuracy, control)):
            values[row, half] = by_user(influence, labels)[half]
    return NestedPreferenceProbe(values[0], values[1], values[2], best)


def _halves(users: int, seed: int) -> tuple[Indices, Indices]:
    one, other = np.array_split(np.random.default_rng(seed).permutation(users), 2)
    return np.sort(one), np.sort(other)


def _best_layers(
    layers: Sequence[str], halves: tuple[Indices, Indices], value: Callable[[str, Indices], float]
) -> tuple[str, str]:
    """The layer of highest value for each half; the first by name of equals."""
    one, other = (max(layers, key=lambda layer: value(layer, half)) for half in halves)
    return one, other


def _select(pair: StatePair, half: Indices) -> StatePair:
    return StatePair(*(state_matrix(side, "states")[half] for side in pair))

"""Inter-user probes: whether two disjoint histories are of one user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler

from prefbench.api import Estimate, FloatArray, PrefbenchError
from prefbench.probing.folds import fold_of_rows
from prefbench.probing.influence import mean_of_users, recall_rows, verification_rows
from prefbench.probing.table import RETRIEVAL, VERIFICATION, ProbedLayer, ProbeRow, check_layers, state_matrix

Comparison = Literal["cosine", "whitened"]


class StatePair(NamedTuple):
    """States of two disjoint histories of each user, (U, W) and (U, W), users in one order."""

    first: FloatArray
    second: FloatArray


def similarities(pair: StatePair, *, comparison: Comparison = "cosine", folds: int = 5, seed: int = 0) -> FloatArray:
    """Cosine (U, U) between every first and every second state; NaN where two users are not compared.

    `cosine` standardises each of the W numbers over all states. `whitened` learns on the users of the other folds:
    it standardises over them, whitens by their within-user covariance (Hatch et al., Interspeech 2006; shrunk after
    Ledoit & Wolf, 2004), and compares users of one fold only.

    Raises:
        PrefbenchError: a state is not finite, the shapes differ, or there are fewer users than twice the folds.
    """
    if comparison not in get_args(Comparison):
        raise PrefbenchError(f"probing: no comparison {comparison!r}; there are {', '.join(get_args(Comparison))}")
    first, second = (state_matrix(states, "states") for states in pair)
    if first.shape != second.shape:
        raise PrefbenchError(f"probing: the two states of each user differ in shape: {first.shape}, {second.shape}")
    users, needed = len(first), 2 if comparison == "cosine" else 2 * folds
    if users < needed:
        raise PrefbenchError(f"probing: telling users apart ({comparison}) needs at least {needed}, got {users}")
    if comparison == "cosine":
        scaler = StandardScaler().fit(np.concatenate([first, second]))
        return _cosines(scaler.transform(first), scaler.transform(second))
    cosines = np.full((users, users), np.nan)
    fold_of = fold_of_rows(np.arange(users).astype(str), folds, seed)
    for own, rest in ((fold_of == fold, fold_of != fold) for fold in range(folds)):
        cosines[np.ix_(own, own)] = whitened(StatePair(first[own], second[own]), StatePair(first[rest], second[rest]))
    return cosines


def whitened(pair: StatePair, others: StatePair) -> FloatArray:
    """Cosine (U, U) between every first and every second state, standardised and whitened by `others`."""
    scaler = StandardScaler().fit(np.concatenate(others))
    whiten = _whitening(*(scaler.transform(side) for side in others))
    return _cosines(*(scaler.transform(side) @ whiten for side in pair))


def verification(pair: StatePair, *, comparison: Comparison = "cosine", folds: int = 5, seed: int = 0) -> Estimate:
    """AUC of "are these two histories of one user": all pairs of users under one threshold, chance 0.5.

    It does not depend on how many users there are. Raises as `similarities` does.
    """
    rows = verification_rows(similarities(pair, comparison=comparison, folds=folds, seed=seed))
    return mean_of_users(rows)


def retrieval(
    pair: StatePair,
    *,
    gallery: int = 10,
    comparison: Comparison = "cosine",
    folds: int = 5,
    seed: int = 0,
) -> Estimate:
    """Recall at 1: how often a user's other history is the nearest of `gallery`, chance 1 / gallery.

    The mean over all galleries that can be drawn from the users, in closed form, and over both directions; a tie
    counts as a miss. The interval resamples the users who are looked for, not those they are confused with.

    Raises:
        PrefbenchError: as `similarities`, or the gallery is larger than the number of users who are compared.
    """
    similar = similarities(pair, comparison=comparison, folds=folds, seed=seed)
    compared = int((~np.isnan(similar)).sum(1).min())
    if not 2 <= gallery <= compared:
        raise PrefbenchError(f"probing: a gallery holds 2 to {compared} users here, not {gallery}")
    return mean_of_users(recall_rows(similar, gallery))


def probe_users(
    pairs: Mapping[ProbedLayer, StatePair],
    *,
    floor: StatePair | None = None,
    gallery: int = 10,
    comparison: Comparison = "cosine",
    folds: int = 5,
    seed: int = 0,
) -> list[ProbeRow]:
    """Verification and retrieval in every layer.

    Args:
        floor: a pair of features (U, F) of each history's images alone, without the labels. A user whose histories
            share prompts or source models is told apart by content, so draw these alike for all users.

    The control pairs every first history with the second of another user and calls the two one user; with nothing to
    remember it stands near chance.

    Raises:
        PrefbenchError: as `retrieval`, or users differ in number.
    """
    users = users_of(pairs)
    if floor is not None and len(floor.first) != users:
        raise PrefbenchError(f"probing: the floor has {len(floor.first)} users, the states have {users}")
    tasks: dict[str, Callable[[StatePair], Estimate]] = {
        VERIFICATION: lambda pair: verification(pair, comparison=comparison, folds=folds, seed=seed),
        f"{RETRIEVAL}@{gallery}": lambda pair: retrieval(
            pair, gallery=gallery, comparison=comparison, folds=folds, seed=seed
        ),
    }
    floors = {task: None if floor is None else probe(floor).value for task, probe in tasks.items()}
    return [
        ProbeRow.of(layer, task, probe(pair), floor=floors[task], control=probe(_mismatched(pair, seed)).value)
        for layer, pair in sorted(pairs.items())
        for task, probe in tasks.items()
    ]


def users_of(pairs: Mapping[ProbedLayer, StatePair]) -> int:
    """How many users all layers have states of. Raises `PrefbenchError` where layers differ, or there are none."""
    check_layers(pairs)
    counts = {len(pair.first) for pair in pairs.values()}
    if len(counts) != 1:
        raise PrefbenchError(f"probing: layers hold states of different numbers of users: {sorted(counts)}")
    return counts.pop()


def _cosines(first: FloatArray, second: FloatArray) -> FloatArray:
    one, other = (side / np.linalg.norm(side, axis=1, keepdims=True).clip(min=1e-12) for side in (first, second))
    cosines: FloatArray = one @ other.T
    return cosines


def _whitening(first: FloatArray, second: FloatArray) -> FloatArray:
    """V L^(-1/2) of the covariance within users V L V' (W, W), from rows (U, W) that share a user.

    The two states of a user are their mean plus noise of covariance S each, so (first - second) / sqrt(2) has mean 0
    and covariance S: nothing has to be centred.
    """
    within = LedoitWolf(assume_centered=True).fit((first - second) / np.sqrt(2)).covariance_
    values, vectors = np.linalg.eigh(within)
    whiten: FloatArray = vectors / np.sqrt(values.clip(min=1e-9))
    return whiten


def _mismatched(pair: StatePair, seed: int) -> StatePair:
    """Every first state with the second of another user: a random cycle of all users, so nobody keeps their own."""
    order = np.random.default_rng(seed).permutation(len(pair.first))
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)
    return StatePair(pair.first, pair.second[partner])

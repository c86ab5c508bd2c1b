"""Inter-user probes: whether two disjoint histories are of one user, and the layers that tell it best."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler

from prefbench.api import Estimate, PrefbenchError
from prefbench.probing.rows import (
    REPLICATES,
    RETRIEVAL,
    VERIFICATION,
    Indices,
    Place,
    Row,
    below,
    check_places,
    fold_of,
    matrix,
    over_users,
)
from prefbench.stats.resampling import Floats

Comparison = Literal["cosine", "whitened"]


class Pair(NamedTuple):
    """States of two disjoint histories of each user, (U, W) and (U, W), users in one order."""

    first: Floats
    second: Floats


@dataclass(frozen=True)
class Choice:
    """The layers that tell users apart best, and what such a choice is worth on users it was not made on."""

    layers: tuple[int, ...]
    pooling: str
    estimate: Estimate
    """Verification AUC of the mean state of the layers chosen on the other half of the users."""
    halves: tuple[tuple[Place, ...], tuple[Place, ...]]
    """What each half chose; where they disagree, the choice is little more than one of several."""


def similarities(pair: Pair, *, comparison: Comparison = "cosine", folds: int = 5, seed: int = 0) -> Floats:
    """Cosine (U, U) between every first and every second state; NaN where two users are not compared.

    `cosine` standardises each of the W numbers over all states. `whitened` learns on the users of the other folds:
    it standardises over them, whitens by their within-user covariance (Hatch et al., Interspeech 2006; shrunk after
    Ledoit & Wolf, 2004), and compares users of one fold only.

    Raises:
        PrefbenchError: a state is not finite, the shapes differ, or there are fewer users than twice the folds.
    """
    if comparison not in get_args(Comparison):
        raise PrefbenchError(f"probing: no comparison {comparison!r}; there are {', '.join(get_args(Comparison))}")
    first, second = (matrix(states, "states") for states in pair)
    if first.shape != second.shape:
        raise PrefbenchError(f"probing: the two states of each user differ in shape: {first.shape}, {second.shape}")
    users, needed = len(first), 2 if comparison == "cosine" else 2 * folds
    if users < needed:
        raise PrefbenchError(f"probing: telling users apart ({comparison}) needs at least {needed}, got {users}")
    if comparison == "cosine":
        scaler = StandardScaler().fit(np.concatenate([first, second]))
        return _cosines(scaler.transform(first), scaler.transform(second))
    result = np.full((users, users), np.nan)
    of = fold_of(np.arange(users).astype(str), folds, seed)
    for own, rest in ((of == fold, of != fold) for fold in range(folds)):
        result[np.ix_(own, own)] = whitened(Pair(first[own], second[own]), Pair(first[rest], second[rest]))
    return result


def whitened(pair: Pair, others: Pair) -> Floats:
    """Cosine (U, U) between every first and every second state, standardised and whitened as `others` say."""
    scaler = StandardScaler().fit(np.concatenate(others))
    whiten = _whitening(*(scaler.transform(side) for side in others))
    return _cosines(*(scaler.transform(side) @ whiten for side in pair))


def verification(
    pair: Pair, *, comparison: Comparison = "cosine", folds: int = 5, seed: int = 0, replicates: int = REPLICATES
) -> Estimate:
    """AUC of "are these two histories of one user": all pairs of users under one threshold, chance 0.5.

    It does not depend on how many users there are. Raises as `similarities` does.
    """
    rows = verification_rows(similarities(pair, comparison=comparison, folds=folds, seed=seed))
    return over_users(rows, replicates, seed)


def retrieval(
    pair: Pair,
    *,
    gallery: int = 10,
    comparison: Comparison = "cosine",
    folds: int = 5,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Estimate:
    """Recall at 1: how often a user's other history is the nearest of `gallery`, chance 1 / gallery.

    The mean over all galleries that can be drawn from the users, in closed form, and over both directions; a tie
    counts as a miss. The interval resamples the users who are looked for, not those they are confused with.

    Raises:
        PrefbenchError: as `similarities`, or the gallery is larger than the number of users who are compared.
    """
    found = similarities(pair, comparison=comparison, folds=folds, seed=seed)
    compared = int((~np.isnan(found)).sum(1).min())
    if not 2 <= gallery <= compared:
        raise PrefbenchError(f"probing: a gallery holds 2 to {compared} users here, not {gallery}")
    rows: Floats = recall_rows(found, gallery)
    return over_users(rows, replicates, seed)


def probe_users(
    pairs: Mapping[Place, Pair],
    *,
    floor: Pair | None = None,
    gallery: int = 10,
    comparison: Comparison = "cosine",
    folds: int = 5,
    seed: int = 0,
) -> list[Row]:
    """Verification and retrieval at every place.

    Args:
        floor: what each history's images alone say, without the answers, as a pair of features (U, F). A user whose
            histories share prompts or drawing models is told apart by content, so draw these alike for all users.

    The control pairs every first history with the second of another user and calls the two one user; with nothing to
    remember it stands near chance.

    Raises:
        PrefbenchError: as `retrieval`, or users differ in number.
    """
    users = _users_of(pairs)
    if floor is not None and len(floor.first) != users:
        raise PrefbenchError(f"probing: the floor has {len(floor.first)} users, the states have {users}")
    tasks: dict[str, Callable[[Pair], Estimate]] = {
        VERIFICATION: lambda pair: verification(pair, comparison=comparison, folds=folds, seed=seed),
        f"{RETRIEVAL}@{gallery}": lambda pair: retrieval(
            pair, gallery=gallery, comparison=comparison, folds=folds, seed=seed
        ),
    }
    floors = {task: None if floor is None else probe(floor).value for task, probe in tasks.items()}
    return [
        Row.of(place, task, probe(pair), floor=floors[task], control=probe(_strangers(pair, seed)).value)
        for place, pair in sorted(pairs.items())
        for task, probe in tasks.items()
    ]


def choose_layers(
    pairs: Mapping[Place, Pair],
    k: int,
    *,
    candidates: Collection[int] | None = None,
    comparison: Comparison = "cosine",
    seed: int = 0,
) -> Choice:
    """The k layers, of one pooling, that tell users apart best.

    Layers are ranked by their own verification AUC; of the poolings that one wins whose k layers have, as the mean of
    their states, the highest. The estimate is nested: each half of the users is measured by the layers that the other
    half chose. The layers handed back are chosen on all users.

    Args:
        candidates: layers to choose from; all unless given.

    Raises:
        PrefbenchError: fewer than k candidates, users too few to halve, or as `similarities`.
    """
    users, known = _users_of(pairs), {place.layer for place in pairs}
    if unknown := sorted(set(candidates or ()) - known):
        raise PrefbenchError(f"probing: no states of layer {unknown[0]}; there are {sorted(known)}")
    allowed = {place: pair for place, pair in pairs.items() if candidates is None or place.layer in candidates}
    poolings = sorted({place.pooling for place in allowed})
    short = [name for name in poolings if sum(place.pooling == name for place in allowed) < k]
    if k < 1 or not allowed or short:
        raise PrefbenchError(f"probing: {k} layers cannot be chosen from {sorted({p.layer for p in allowed})}")
    if users < 4:
        raise PrefbenchError(f"probing: choosing layers halves the users and needs at least 4, got {users}")

    def rows(places: Sequence[Place], half: Indices) -> Floats:
        mean = Pair(*(np.mean([allowed[place][side][half] for place in places], axis=0) for side in (0, 1)))
        return verification_rows(similarities(mean, comparison=comparison, seed=seed))

    def best(half: Indices) -> tuple[Place, ...]:
        worth = {place: float(rows([place], half).mean()) for place in sorted(allowed)}
        ranked = sorted(worth, key=lambda place: -worth[place])
        tops = [tuple(sorted([p for p in ranked if p.pooling == name][:k])) for name in poolings]
        return max(tops, key=lambda top: float(rows(top, half).mean()))

    one, other = np.array_split(np.random.default_rng(seed).permutation(users), 2)
    halves, chosen = (best(one), best(other)), best(np.arange(users))
    nested = np.concatenate([rows(halves[0], other), rows(halves[1], one)])
    estimate = over_users(nested, REPLICATES, seed)
    return Choice(tuple(place.layer for place in chosen), chosen[0].pooling, estimate, halves)


def _users_of(pairs: Mapping[Place, Pair]) -> int:
    check_places(pairs)
    counts = {len(pair.first) for pair in pairs.values()}
    if len(counts) != 1:
        raise PrefbenchError(f"probing: layers hold states of different numbers of users: {sorted(counts)}")
    return counts.pop()


def _cosines(first: Floats, second: Floats) -> Floats:
    one, other = (part / np.linalg.norm(part, axis=1, keepdims=True).clip(min=1e-12) for part in (first, second))
    result: Floats = one @ other.T
    return result


def _whitening(first: Floats, second: Floats) -> Floats:
    """The inverse square root (W, W) of the covariance within users, of rows that share a user."""
    within = LedoitWolf(assume_centered=True).fit((first - second) / np.sqrt(2)).covariance_
    values, vectors = np.linalg.eigh(within)
    whiten: Floats = vectors / np.sqrt(values.clip(min=1e-9))
    return whiten


def _strangers(pair: Pair, seed: int) -> Pair:
    """Every first state with the second of another user."""
    order = np.random.default_rng(seed).permutation(len(pair.first))
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)
    return Pair(pair.first, pair.second[partner])


def verification_rows(similar: Floats) -> Floats:
    """Influence values (U,) of the pooled AUC, whose mean it is; a user acts as one's own pair and as a stranger."""
    own = np.diag(similar)
    strange = ~np.isnan(similar) & ~np.eye(len(similar), dtype=bool)
    above = np.zeros_like(similar)
    above[strange] = 1 - below(similar[strange], own)
    as_stranger = (above.sum(0) + above.sum(1)) / (strange.sum(0) + strange.sum(1))
    rows: Floats = below(own, similar[strange]) + 2 * (as_stranger - as_stranger.mean())
    return rows


def recall_rows(similar: Floats, gallery: int) -> Floats:
    """How often (U,) each user's other history is the nearest of a gallery, over both directions."""
    rows: Floats = (_recall(similar, gallery) + _recall(similar.T, gallery)) / 2
    return rows


def _recall(similar: Floats, gallery: int) -> Floats:
    """Chance (U,) that one's own is above gallery - 1 others, drawn without replacement from the row."""
    own = np.diag(similar)[:, None]
    others = (~np.isnan(similar)).sum(1) - 1
    below, drawn = (similar < own).sum(1), np.arange(gallery - 1)
    recall: Floats = ((below[:, None] - drawn).clip(min=0) / (others[:, None] - drawn)).prod(1)
    return recall

"""Probes whose layer is chosen on one half of the users and reported on the other, and the other way round.

Every half is measured by the layer that the other half chose, so no user's figure gains by the luck of the choice.
Figures come back user by user, as values whose mean is the statistic, and users are what its interval resamples. So
no two users may lean on each other: in plain cross-validation each of them is fitted on where the other is tested, and
both gain by one coincidence (Bengio & Grandvalet, JMLR 2004: no estimate of such a variance is unbiased). At chance
intervals of 95 % then cover 86 to 90 %. `one_way_folds` fit in one direction only, which costs 0.02 of an AUC of 0.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from prefbench.api import PrefbenchError
from prefbench.probing.likings import Bools, Fold, Questions, both_answers, control_labels, liking_rows, liking_scores
from prefbench.probing.rows import Indices, fold_of, matrix
from prefbench.probing.users import Pair, recall_rows, similarities, verification_rows, whitened
from prefbench.stats.resampling import Floats

_FOLDS = 2
"""Users who choose a layer are so few that more folds would leave too few to compare."""


class NestedUsers(NamedTuple):
    """How users are told apart, (U,) in their order, and the layer that each half of them chose for the other."""

    verification: Floats
    """Influence values of the AUC; chance 0.5."""
    recall: Floats
    """Recall at 1 among `gallery`; chance 1 / gallery."""
    chosen: tuple[str, str]


class NestedLiking(NamedTuple):
    """How a user's liked and disliked pictures are told apart: (U,), users sorted, NaN for those without both."""

    auc: Floats
    accuracy: Floats
    """Balanced; chance 0.5."""
    control: Floats
    """The accuracy of the same probe on answers without meaning; NaN too for users who were given one answer."""
    chosen: tuple[str, str]


def nested_users(pairs: Mapping[str, Pair], *, gallery: int = 10, seed: int = 0) -> NestedUsers:
    """Verification and retrieval at the layer that tells users of the other half apart best.

    States are whitened by what the other half says, too: it is all that any half is told about the other.

    Raises:
        PrefbenchError: a state is not finite, or there are fewer than twice `gallery` users.
    """
    users = len(next(iter(pairs.values())).first)
    if users < 2 * gallery:
        raise PrefbenchError(f"telling users apart in a gallery of {gallery} needs {2 * gallery} users, got {users}")

    def worth(layer: str, half: Indices) -> float:
        similar = similarities(_of(pairs[layer], half), comparison="whitened", folds=_FOLDS, seed=seed)
        return float(verification_rows(similar).mean())

    halves = _halves(users, seed)
    chosen = _chosen(sorted(pairs), halves, worth)
    rows = np.full((2, users), np.nan)
    for own, other, layer in zip(halves, halves[::-1], chosen[::-1], strict=True):
        similar = whitened(_of(pairs[layer], own), _of(pairs[layer], other))
        rows[:, own] = verification_rows(similar), recall_rows(similar, gallery)
    return NestedUsers(rows[0], rows[1], chosen)


def nested_liking(states: Mapping[str, Floats], questions: Questions, *, seed: int = 0) -> NestedLiking:
    """The probe of `liking` at the layer in which it does best for the other half of the users.

    A half chooses by itself alone, in `crossed_folds`; it is measured in `one_way_folds` of all users. The control's
    labels are by prompt, and its folds keep only users apart: what recurs is there to be remembered.

    Raises:
        PrefbenchError: as `liking`, of either half.
    """
    names, of = np.unique(questions.users, return_inverse=True)
    halves = _halves(len(names), seed)

    def worth(layer: str, half: Indices) -> float:
        rows = np.flatnonzero(np.isin(of, half))
        part = _some(questions, rows)
        own = liking_scores(states[layer][rows], part, seed=seed)
        return float(np.nanmean(by_user(liking_rows(own, part)[0], part)))

    chosen = _chosen(sorted(states), halves, worth)
    meant = one_way_folds(questions, seed=seed)
    unmeant = _relabelled(questions, control_labels(questions.prompts, share=float(questions.liked.mean()), seed=seed))
    apart = one_way_folds(unmeant, seed=seed, by_prompt=False)
    found = np.full((3, len(names)), np.nan)
    for half, layer in zip(halves, chosen[::-1], strict=True):
        auc, accuracy = liking_rows(liking_scores(states[layer], questions, folds=meant), questions)
        control = liking_rows(liking_scores(states[layer], unmeant, folds=apart), unmeant)[1]
        for row, (values, asked) in enumerate(((auc, questions), (accuracy, questions), (control, unmeant))):
            found[row, half] = by_user(values, asked)[half]
    return NestedLiking(found[0], found[1], found[2], chosen)


def one_way_folds(
    questions: Questions, *, users: int = 5, prompts: int = 4, seed: int = 0, by_prompt: bool = True
) -> list[Fold]:
    """Folds as `crossed_folds` makes them, in which of two users at most one is fitted on where the other is tested.

    Users are dealt into an odd number of groups in a ring, and each group is tested by what the half of the ring that
    follows it says; prompts are dealt into groups too, and none is fitted on where it is tested. Every row is tested
    once. Without `by_prompt` users alone are kept apart.

    Raises:
        PrefbenchError: an even number of groups of users, fewer users or prompts than groups, or as `crossed_folds`.
    """
    if users % 2 == 0 or users < 3:
        raise PrefbenchError(f"probing: a ring of {users} groups has no half that follows; take an odd number from 3")
    for kind, names, groups in (("users", questions.users, users), ("prompts", questions.prompts, prompts * by_prompt)):
        if (count := len(np.unique(names))) < groups:
            raise PrefbenchError(f"probing: {groups} folds need as many {kind}, got {count}")
    user = fold_of(questions.users, users, seed)
    prompt = fold_of(questions.prompts, prompts, seed + 1) if by_prompt else np.full(len(questions), -1)
    result = []
    for u, p in product(range(users), np.unique(prompt)):
        follows = (user - u) % users
        test = np.flatnonzero((user == u) & (prompt == p))
        train = np.flatnonzero((follows > 0) & (follows <= users // 2) & ((prompt != p) | (not by_prompt)))
        if len(test):
            both_answers(questions.liked[train])
            result.append(Fold(train, test))
    return result


def by_user(rows: Floats, questions: Questions) -> Floats:
    """The mean (U,) of each user's rows (N,), users sorted; NaN where a user has none."""
    of = np.unique(questions.users, return_inverse=True)[1]
    means: Floats = np.bincount(of, weights=rows) / np.bincount(of)
    return means


def _halves(users: int, seed: int) -> tuple[Indices, Indices]:
    one, other = np.array_split(np.random.default_rng(seed).permutation(users), 2)
    return np.sort(one), np.sort(other)


def _chosen(
    layers: list[str], halves: tuple[Indices, Indices], worth: Callable[[str, Indices], float]
) -> tuple[str, str]:
    """The best layer of each half; the first by name of equals."""
    one, other = (max(layers, key=lambda layer: worth(layer, half)) for half in halves)
    return one, other


def _of(pair: Pair, half: Indices) -> Pair:
    return Pair(*(matrix(side, "states")[half] for side in pair))


def _some(questions: Questions, rows: Indices) -> Questions:
    return Questions(questions.liked[rows], questions.users[rows], questions.prompts[rows], questions.images[rows])


def _relabelled(questions: Questions, liked: Bools) -> Questions:
    return Questions(liked, questions.users, questions.prompts, questions.images)

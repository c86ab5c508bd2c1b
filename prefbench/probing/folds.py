"""Folds of cross-validation that keep users apart, prompts too, and, where intervals need it, users independent."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold

from prefbench.api import PrefbenchError
from prefbench.probing.labels import Bools, Indices, ProbeLabels
from prefbench.stats.table import Names


class Fold(NamedTuple):
    """Row numbers to fit on and to test on."""

    train: Indices
    test: Indices


def fold_of_rows(names: Names, folds: int, seed: int) -> Indices:
    """The fold (N,) of every row, rows of one name together."""
    numbers = np.empty(len(names), dtype=np.int64)
    splits = GroupKFold(n_splits=folds, shuffle=True, random_state=seed).split(names, groups=names)
    for fold, (_, test) in enumerate(splits):
        numbers[test] = fold
    return numbers


def crossed_folds(labels: ProbeLabels, *, folds: int = 4, seed: int = 0, by_prompt: bool = True) -> list[Fold]:
    """Folds whose test rows share neither a user nor a prompt with the rows to fit on; every row is tested once.

    Users and prompts are each dealt into `folds` groups; a fold tests one group of users on one group of prompts, and
    fits on all other users and all other prompts. Without `by_prompt` users alone are kept apart.

    Raises:
        PrefbenchError: fewer users or prompts than folds, or a fold to fit on has only one label.
    """
    return _folds(labels, folds, folds, seed, by_prompt, lambda group, tested: group != tested)


def one_way_folds(
    labels: ProbeLabels, *, users: int = 5, prompts: int = 4, seed: int = 0, by_prompt: bool = True
) -> list[Fold]:
    """Folds as `crossed_folds` makes them, in which of two users at most one is fitted on where the other is tested.

    Users are dealt into an odd number of groups in a ring, and each group is tested by a probe that was fitted on the
    half of the ring that follows it; prompts are dealt into groups too, and none is fitted on where it is tested.
    Every row is tested once. Without `by_prompt` users alone are kept apart.

    Raises:
        PrefbenchError: an even number of groups of users, fewer users or prompts than groups, or as `crossed_folds`.
    """
    if users % 2 == 0 or users < 3:
        raise PrefbenchError(f"probing: a ring of {users} groups has no half that follows; take an odd number from 3")
    # The number of groups is odd, so of two groups just one is among the users // 2 that follow the other.
    following = np.arange(1, users // 2 + 1)
    return _folds(
        labels, users, prompts, seed, by_prompt, lambda group, tested: np.isin((group - tested) % users, following)
    )


def _folds(
    labels: ProbeLabels,
    users: int,
    prompts: int,
    seed: int,
    by_prompt: bool,
    fits: Callable[[Indices, int], Bools],
) -> list[Fold]:
    """One fold per group of users and group of prompts that have rows; `fits` says which groups of users to fit on."""
    for kind, names, groups in (("users", labels.users, users), ("prompts", labels.prompts, prompts * by_prompt)):
        if (count := len(np.unique(names))) < groups:
            raise PrefbenchError(f"probing: {groups} folds need as many {kind}, got {count}")
    user = fold_of_rows(labels.users, users, seed)
    prompt = fold_of_rows(labels.prompts, prompts, seed + 1) if by_prompt else np.full(len(labels), -1)
    folds = []
    for u, p in product(range(users), np.unique(prompt)):
        test = np.flatnonzero((user == u) & (prompt == p))
        train = np.flatnonzero(fits(user, u) & ((prompt != p) | (not by_prompt)))
        if len(test):
            _check_both_labels(labels.liked[train])
            folds.append(Fold(train, test))
    return folds


def _check_both_labels(liked: Bools) -> None:
    if liked.all() or not liked.any():
        raise PrefbenchError("probing: a fold to fit on holds only one label; give more rows or fewer folds")

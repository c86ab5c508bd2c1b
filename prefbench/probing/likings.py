"""Intra-user probes: whether a user likes an image, tested on users and prompts that they were not fitted on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prefbench.api import Estimate, PrefbenchError, Scores
from prefbench.probing.rows import (
    LIKING,
    LIKING_ACCURACY,
    REPLICATES,
    Indices,
    Place,
    Row,
    below,
    bounded,
    check_places,
    fold_of,
    matrix,
)
from prefbench.stats.resampling import Floats, Names

Bools = NDArray[np.bool_]
STRENGTH = 0.01
"""Inverse L2 penalty of the probe on standardised states: one recipe for all layers, floors and controls."""


@dataclass(frozen=True)
class Questions:
    """Was this image liked: a row for each state of one user's history followed by one image that it does not hold.

    Args:
        liked: bool (N,); at least two users need both answers.
        users, prompts, images: (N,) names; an image belongs to one prompt, so unseen prompts mean unseen images.

    Raises:
        PrefbenchError: lengths differ, an answer is missing, or an image stands under two prompts.
    """

    liked: Bools
    users: Names
    prompts: Names
    images: Names

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise PrefbenchError(f"probing: columns of questions differ in length: {lengths}")
        if self.liked.dtype != np.bool_:
            raise PrefbenchError(f"probing: liked must be of dtype bool, not {self.liked.dtype}")
        both = len(np.intersect1d(self.users[self.liked], self.users[~self.liked]))
        if both < 2:
            raise PrefbenchError(f"probing: {both} of the users have liked and disliked images, at least 2 must")
        if len(np.unique(self.images)) != len(set(zip(self.images.tolist(), self.prompts.tolist(), strict=True))):
            raise PrefbenchError("probing: an image stands under two prompts, so folds cannot keep it apart")

    def __len__(self) -> int:
        return len(self.liked)


class Fold(NamedTuple):
    """Row numbers to fit on and to test on."""

    train: Indices
    test: Indices


@dataclass(frozen=True)
class Liking:
    """How well a probe tells liked from disliked: means over the users who have both, 0 to 1, chance 0.5."""

    auc: Estimate
    accuracy: Estimate
    """Balanced: the mean of the shares of liked and of disliked images that are told right."""


def crossed_folds(questions: Questions, *, folds: int = 4, seed: int = 0, by_prompt: bool = True) -> list[Fold]:
    """Folds whose test rows share neither a user nor a prompt with the rows to fit on; every row is tested once.

    Users and prompts are each dealt into `folds` groups; a fold tests one group of users on one group of prompts, and
    fits on all other users and all other prompts. Without `by_prompt` users alone are kept apart.

    Raises:
        PrefbenchError: fewer users or prompts than folds, or a fold to fit on has only one answer.
    """
    for kind, names in (("users", questions.users), ("prompts", questions.prompts)):
        if (count := len(np.unique(names))) < folds and (by_prompt or kind == "users"):
            raise PrefbenchError(f"probing: {folds} folds need as many {kind}, got {count}")
    user = fold_of(questions.users, folds, seed)
    prompt = fold_of(questions.prompts, folds, seed + 1) if by_prompt else np.full(len(questions), -1)
    result = []
    for u, p in product(range(folds), np.unique(prompt)):
        test = np.flatnonzero((user == u) & (prompt == p))
        train = np.flatnonzero((user != u) & ((prompt != p) | (not by_prompt)))
        if len(test):
            both_answers(questions.liked[train])
            result.append(Fold(train, test))
    return result


def liking(
    states: Floats,
    questions: Questions,
    *,
    folds: Sequence[Fold] | None = None,
    strength: float = STRENGTH,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Liking:
    """Logistic regression on standardised states (N, W), fitted on other users and other prompts than it is tested on.

    Both answers weigh the same in the fit. Users without both answers are fitted on, but have no figure of their own.

    Args:
        folds: those of `crossed_folds` unless given.
        strength: inverse of the L2 penalty.

    Raises:
        PrefbenchError: a state is not finite, or rows and questions differ in number; else as `crossed_folds`.
    """
    scores = liking_scores(states, questions, folds=folds, strength=strength, seed=seed)
    return liking_of(scores, questions, seed=seed, replicates=replicates)


def liking_scores(
    states: Floats,
    questions: Questions,
    *,
    folds: Sequence[Fold] | None = None,
    strength: float = STRENGTH,
    seed: int = 0,
) -> Floats:
    """The scores (N,) that `liking` is measured by: log odds of liked, each by a probe that has not seen the row."""
    states = matrix(states, "states", len(questions))
    scores = np.full(len(questions), np.nan)
    for train, test in crossed_folds(questions, seed=seed) if folds is None else folds:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
        probe = make_pipeline(StandardScaler(), model).fit(states[train], questions.liked[train])
        scores[test] = probe.decision_function(states[test])
    return scores


def liking_of(scores: Floats, questions: Questions, *, seed: int = 0, replicates: int = REPLICATES) -> Liking:
    """How well given scores (N,) tell liked from disliked; positive ones say liked, zero says neither."""
    rows = liking_rows(scores, questions)
    return Liking(*(bounded(Scores(row, questions.users, questions.prompts), replicates, seed) for row in rows))


def control_labels(types: Names, *, share: float = 0.5, seed: int = 0) -> Bools:
    """A random answer (N,) for each type, the same wherever the type stands; about `share` of the types are liked."""
    drawn = {name: int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]) for name in set(types)}
    return np.array([drawn[name] < share * 2**64 for name in types], dtype=np.bool_)


def control(
    states: Floats, questions: Questions, types: Names, *, folds: int = 4, strength: float = STRENGTH, seed: int = 0
) -> Liking:
    """The probe on `control_labels`: what it would reach by remembering types instead of reading taste.

    Its folds keep users apart but not prompts: an answer that means nothing can be remembered for a type, and never
    guessed for a new one. That is easier than what `liking` is asked, so selectivity errs on the low side. Types that
    only one user has, such as images drawn for them, leave nothing to remember and the control at chance; prompts
    recur.

    Raises:
        PrefbenchError: as `liking`, or fewer than two users have types of both answers.
    """
    meaningless = replace(questions, liked=control_labels(types, share=float(questions.liked.mean()), seed=seed))
    apart = crossed_folds(meaningless, folds=folds, seed=seed, by_prompt=False)
    return liking(states, meaningless, folds=apart, strength=strength, seed=seed)


def probe_liking(
    states: Mapping[Place, Floats],
    questions: Questions,
    *,
    floor: Floats | None = None,
    mismatched: Mapping[Place, Floats] | None = None,
    types: Names | None = None,
    folds: int = 4,
    strength: float = STRENGTH,
    seed: int = 0,
) -> list[Row]:
    """Within-user AUC and balanced accuracy at every place; all probes are fitted and tested on the same folds.

    Args:
        states: (N, W) each, rows as in `questions`.
        floor: features (N, F) of the questioned image alone.
        mismatched: states (N, W) of the same questions after another user's history; fitted anew.
        types: (N,) what control labels are drawn for; the images unless given. See `control`.

    Raises:
        PrefbenchError: as `liking`, or `mismatched` lacks a place.
    """
    check_places(states)
    if mismatched is not None and (lacking := sorted(set(states) - set(mismatched))):
        raise PrefbenchError(f"probing: mismatched states lack layer {lacking[0].layer}, pooling {lacking[0].pooling}")
    drawn = questions.images if types is None else types
    if len(drawn) != len(questions):
        raise PrefbenchError(f"probing: {len(drawn)} types for {len(questions)} questions")
    apart = crossed_folds(questions, folds=folds, seed=seed)

    def probe(matrix: Floats) -> Liking:
        return liking(matrix, questions, folds=apart, strength=strength, seed=seed)

    content = None if floor is None else probe(floor)
    rows = []
    for place, found_at in sorted(states.items()):
        found, other = probe(found_at), None if mismatched is None else probe(mismatched[place])
        unmeant = control(found_at, questions, drawn, folds=folds, strength=strength, seed=seed)
        named = {"floor": content, "mismatched": other, "control": unmeant}
        auc = {name: None if part is None else part.auc.value for name, part in named.items()}
        accuracy = {name: None if part is None else part.accuracy.value for name, part in named.items()}
        rows += [Row.of(place, LIKING, found.auc, **auc), Row.of(place, LIKING_ACCURACY, found.accuracy, **accuracy)]
    return rows


def both_answers(liked: Bools) -> None:
    if liked.all() or not liked.any():
        raise PrefbenchError("probing: a fold to fit on holds only one answer; give more questions or fewer folds")


def liking_rows(scores: Floats, questions: Questions) -> tuple[Floats, Floats]:
    """Influence values (N,) of each user's AUC and balanced accuracy, whose means they are; NaN without both answers.

    Score 0 is the threshold; a score of just 0 is half right.
    """
    auc, accuracy = (np.full(len(scores), np.nan) for _ in range(2))
    for user in np.unique(questions.users):
        own = questions.users == user
        liked, disliked = np.flatnonzero(own & questions.liked), np.flatnonzero(own & ~questions.liked)
        if not len(liked) or not len(disliked):
            continue
        wins = below(scores[liked], scores[disliked]), 1 - below(scores[disliked], scores[liked])
        right = (1 + np.sign(scores[liked])) / 2, (1 - np.sign(scores[disliked])) / 2
        mean_wins, mean_right = wins[0].mean(), (right[0].mean() + right[1].mean()) / 2
        for rows, won, told in zip((liked, disliked), wins, right, strict=True):
            pull = own.sum() / len(rows)  # both answers weigh the same, so a row of the rarer one pulls harder
            auc[rows] = mean_wins + pull * (won - mean_wins)
            accuracy[rows] = mean_right + pull / 2 * (told - told.mean())
    return auc, accuracy

"""The judgments that a scorer is measured on: liked against disliked pictures of one prompt, user by user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray, History, Judgment, Pixels, PrefbenchError, Scorer, Split, Suite, User, to_pixels

FEWEST_USERS = 3
"""Users with likes and dislikes that a scorer is measured on at least."""
MOST_USERS = 500
"""Users that a scorer is measured on: more are left out evenly over the suite's order: pictures are held in memory."""


@dataclass(frozen=True)
class JudgedPairs:
    """The judgments of one user that a scorer is asked about, and which rows of it are pairs."""

    user: str
    judgments: Sequence[Judgment]
    pixels: Sequence[Pixels]
    pairs: NDArray[np.int64]
    """(P, 2) rows of a liked and a disliked judgment."""

    def digest(self, row: int) -> str:
        """The digest of the picture that the judgment of a row is of."""
        return self.judgments[row].picture.digest

    @property
    def liked(self) -> NDArray[np.bool_]:
        """(J,) whether each judgment is a like."""
        return np.array([judgment.liked for judgment in self.judgments])


def judged_pairs(suite: Suite, split: Split) -> list[JudgedPairs]:
    """The pairs of users who have any, among the judgments that methods see; of at most `MOST_USERS` users.

    Raises:
        PrefbenchError: fewer than three such users.
    """
    users = []
    for user in _spread(suite.users(split)):
        history = suite.history(user.id, "method")
        judgments = [*history.liked, *history.disliked]
        pairs = _pairs(judgments)
        if len(pairs):
            users.append(JudgedPairs(user.id, judgments, [to_pixels(j.picture.load()) for j in judgments], pairs))
    if len(users) < FEWEST_USERS:
        least = f"scorers are measured on {FEWEST_USERS} users with likes and dislikes at least"
        raise PrefbenchError(f"{least}; {split} has {len(users)}")
    return users


def _spread(users: Sequence[User]) -> list[User]:
    """All, or `MOST_USERS` of them, evenly over their order."""
    places = np.linspace(0, len(users) - 1, min(len(users), MOST_USERS)).round().astype(np.int64)
    return [users[place] for place in places]


def _pairs(judgments: Sequence[Judgment]) -> NDArray[np.int64]:
    """Those judged against each other; where the suite does not say, all of one prompt."""
    rows = [
        (a, b)
        for a, liked in enumerate(judgments)
        for b, disliked in enumerate(judgments)
        if liked.liked and not disliked.liked and liked.prompt == disliked.prompt and liked.pair == disliked.pair
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 2)


def answers(scorer: Scorer, histories: Sequence[History], users: Sequence[JudgedPairs]) -> list[FloatArray]:
    """P(liked) of each user's judgments, as the scorer gives it with the history at the user's place."""
    return [
        scorer.score(history, [judgment.prompt for judgment in user.judgments], user.pixels)
        for history, user in zip(histories, users, strict=True)
    ]


def accuracies(values: Sequence[FloatArray], users: Sequence[JudgedPairs]) -> FloatArray:
    """For each pair of all users, in their order, 1 where the liked picture got the higher value; 0.5 for a tie."""
    margins = [v[user.pairs[:, 0]] - v[user.pairs[:, 1]] for v, user in zip(values, users, strict=True)]
    return np.asarray((np.sign(np.concatenate(margins)) + 1) / 2)


def derangements(n: int, times: int) -> list[NDArray[np.int64]]:
    """Random assignments of n users to other users, (n,) each; nobody is assigned to oneself."""
    rng, assignments = np.random.default_rng(0), []
    for _ in range(times):
        order, partner = rng.permutation(n), np.empty(n, dtype=np.int64)
        partner[order] = np.roll(order, 1)
        assignments.append(partner)
    return assignments

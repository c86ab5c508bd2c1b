"""What a method is asked about a user, so that probes can tell what it knows: the same for every method.

Two disjoint halves of the history that methods see, for inter-user probes; and pictures that no method has seen, for
intra-user probes, each represented after the whole history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from prefbench.api import History, Judgment, ProbeItem

VERSION = "1"
"""Raised when plans change."""
HALF_SIZE = 4
"""Likes, and as many dislikes, that a half of a history holds at most."""
ITEMS_PER_SIDE = 4
"""Liked and as many disliked pictures that a method is asked about."""


@dataclass(frozen=True)
class ProbePlan:
    """What a method is asked about one user."""

    history: History
    halves: tuple[History, History] | None
    """None where the history cannot be halved."""
    judgments: tuple[Judgment, ...]
    """Likes, then as many dislikes, that no method sees; empty where the user has judged too few."""

    @property
    def user(self) -> str:
        return self.history.user

    @property
    def items(self) -> tuple[ProbeItem, ...]:
        """What the method is given of `judgments`: picture and prompt, the label withheld."""
        return tuple(ProbeItem(judgment.picture, judgment.prompt) for judgment in self.judgments)

    @property
    def key(self) -> str:
        """A digest of everything the method is given."""
        halves = [] if self.halves is None else [half.digest for half in self.halves]
        items = [repr((judgment.picture.digest, judgment.prompt)) for judgment in self.judgments]
        return hashlib.sha256("\n".join([VERSION, self.history.digest, *halves, "asked", *items]).encode()).hexdigest()


def probe_plans(histories: Mapping[str, History], unseen: Mapping[str, History]) -> list[ProbePlan]:
    """One plan per user, in the order of `histories`; `unseen` are the same users' judgments that no method sees.

    All halves hold equally many likes and dislikes, so that no user is known by how much they hold: half of what the
    median of two-sided users has judged on the rarer side, at most `HALF_SIZE` each. Users with less than twice that
    on either side are not halved; nor are users with likes alone, however many, whose halves would hold another thing
    than everybody else's.
    """
    size = _half_size(histories.values())
    return [ProbePlan(h, _halves(h, size), probe_judgments(unseen[user])) for user, h in histories.items()]


def probe_judgments(history: History, per_side: int = ITEMS_PER_SIDE) -> tuple[Judgment, ...]:
    """The first likes, then the first dislikes of a history, `per_side` each; none where either side has fewer.

    Prompts with a like and a dislike come first, one of each at a time: between these the prompt gives nothing away.
    """
    if min(len(history.liked), len(history.disliked)) < per_side:
        return ()
    pairs = sorted(_pairs_of_a_prompt(history), key=lambda pair: pair[0])[:per_side]
    liked, disliked = [like for _, like, _ in pairs], [dislike for _, _, dislike in pairs]
    for side, whole_side in ((liked, history.liked), (disliked, history.disliked)):
        taken = {id(judgment) for judgment in side}
        side += [judgment for judgment in whole_side if id(judgment) not in taken][: per_side - len(side)]
    return (*liked, *disliked)


def _pairs_of_a_prompt(history: History) -> list[tuple[int, Judgment, Judgment]]:
    """A like and a dislike of one prompt, with how many pairs of that prompt come before."""
    pairs = []
    for prompt in dict.fromkeys(judgment.prompt for judgment in history.liked):
        sides = [[j for j in side if j.prompt == prompt] for side in (history.liked, history.disliked)]
        pairs += [(turn, like, dislike) for turn, (like, dislike) in enumerate(zip(*sides, strict=False))]
    return pairs


def _half_size(histories: Collection[History]) -> int:
    rarer = [n for history in histories if (n := min(len(history.liked), len(history.disliked)))]
    return min(HALF_SIZE, int(np.median(rarer)) // 2) if rarer else 0


def _halves(history: History, size: int) -> tuple[History, History] | None:
    """Every second judgment of each side, `size` of them."""
    if not size or min(len(history.liked), len(history.disliked)) < 2 * size:
        return None
    first, second = (History(history.user, history.liked[i::2][:size], history.disliked[i::2][:size]) for i in (0, 1))
    return first, second

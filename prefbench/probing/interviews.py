"""What a method is asked about a user, so that probes can tell what it knows: the same for every method.

Two disjoint halves of the history that methods see, for inter-user probes; and pictures that no method has seen, for
intra-user probes, each asked about after the whole history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from prefbench.api import History, Judgment, ProbeItem

VERSION = "1"
"""Raised when other things are asked."""
HALF = 4
"""Judgments a side that a half of a history shows at most."""
ASKED = 4
"""Liked and as many disliked pictures that are asked about."""


@dataclass(frozen=True)
class Interview:
    """What is asked about one user."""

    history: History
    halves: tuple[History, History] | None
    """None where the history cannot be halved."""
    asked: tuple[Judgment, ...]
    """Likes, then as many dislikes; empty where the user has judged too few."""

    @property
    def user(self) -> str:
        return self.history.user

    @property
    def questions(self) -> tuple[ProbeItem, ...]:
        """What the method is told of `asked`."""
        return tuple(ProbeItem(judgment.picture, judgment.prompt) for judgment in self.asked)

    @property
    def key(self) -> str:
        """Changes with whatever is asked."""
        halves = [] if self.halves is None else [half.digest for half in self.halves]
        asked = [repr((judgment.picture.digest, judgment.prompt)) for judgment in self.asked]
        return hashlib.sha256("\n".join([VERSION, self.history.digest, *halves, "asked", *asked]).encode()).hexdigest()


def interviews(histories: Mapping[str, History], unseen: Mapping[str, History]) -> list[Interview]:
    """An interview a user, in the order of `histories`; `unseen` are the same users' judgments that no method sees.

    All halves show equally many likes and dislikes, so that no user is known by how much was shown: half of what the
    median of two-sided users has judged on the rarer side, at most `HALF` each. Users with less than twice that on
    either side are not halved; so are users with likes alone, however many, of whom a half would show another thing
    than of everybody else.
    """
    each = _each(histories.values())
    return [Interview(h, _halved(h, each), ask(unseen[user])) for user, h in histories.items()]


def ask(history: History, each: int = ASKED) -> tuple[Judgment, ...]:
    """So many likes, then as many dislikes, the first ones of the history; none where either side has fewer.

    Prompts with a like and a dislike come first, one of each at a time: between these the prompt tells nothing.
    """
    if min(len(history.liked), len(history.disliked)) < each:
        return ()
    pairs = sorted(_paired(history), key=lambda pair: pair[0])[:each]
    liked, disliked = [like for _, like, _ in pairs], [dislike for _, _, dislike in pairs]
    for side, everything in ((liked, history.liked), (disliked, history.disliked)):
        taken = {id(judgment) for judgment in side}
        side += [judgment for judgment in everything if id(judgment) not in taken][: each - len(side)]
    return (*liked, *disliked)


def _paired(history: History) -> list[tuple[int, Judgment, Judgment]]:
    """Likes and dislikes of one prompt, with how many of the prompt stand before."""
    pairs = []
    for prompt in dict.fromkeys(judgment.prompt for judgment in history.liked):
        sides = [[j for j in side if j.prompt == prompt] for side in (history.liked, history.disliked)]
        pairs += [(turn, like, dislike) for turn, (like, dislike) in enumerate(zip(*sides, strict=False))]
    return pairs


def _each(histories: Collection[History]) -> int:
    rarer = [n for history in histories if (n := min(len(history.liked), len(history.disliked)))]
    return min(HALF, int(np.median(rarer)) // 2) if rarer else 0


def _halved(history: History, each: int) -> tuple[History, History] | None:
    """Every second judgment of each side, so many of them."""
    if not each or min(len(history.liked), len(history.disliked)) < 2 * each:
        return None
    first, second = (History(history.user, history.liked[i::2][:each], history.disliked[i::2][:each]) for i in (0, 1))
    return first, second

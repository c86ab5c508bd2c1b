"""Phrases that a model learns to judge after a row of pictures: what users said of them, or what the pictures say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from prefbench.api import TrainUser

from ...shared.phrases import exclusive_groups

ASKED = 12
"""Phrases per row."""
_EACH_SIDE = 4
"""Liked ones among them at most, and disliked ones."""
LIKED, NEITHER, DISLIKED = 1.0, 0.5, 0.0
_MARGIN = 2
"""Pictures by which one side must show a phrase more often than the other."""
Asked = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Phrases (ASKED,) by number, and their labels: `LIKED`, `DISLIKED`, or `NEITHER` where nothing was said of them; nan
where there are fewer phrases."""


class PhraseLabels:
    """Draws phrases and their labels; those that users like or dislike, in words of theirs, in exclusive groups.

    Args:
        rows: digest of a picture to its row.
    """

    def __init__(self, train_users: Sequence[TrainUser], rows: Mapping[str, int]) -> None:
        named = {phrase for one in train_users for phrase in (*one.likes, *one.dislikes)}
        self.groups = exclusive_groups(named, train_users)
        self.phrases = tuple(phrase for group in self.groups for phrase in group)
        number = {phrase: i for i, phrase in enumerate(self.phrases)}
        self._told = [[_numbers(side, number) for side in (one.likes, one.dislikes)] for one in train_users]
        self._shown = np.zeros((max(rows.values(), default=-1) + 1, len(self.phrases)), bool)
        for one in train_users:
            for digest, phrases in one.shows.items():
                if digest in rows:
                    self._shown[rows[digest], _numbers([p for p in phrases if p in number], number)] = True

    def __bool__(self) -> bool:
        return bool(self.phrases)

    def of_user(self, user: int, rng: np.random.Generator, *, flipped: bool) -> Asked:
        """What the user said of likes and dislikes, and phrases that neither names."""
        liked, disliked = self._told[user][::-1] if flipped else self._told[user]
        labels = np.full(len(self.phrases), NEITHER, np.float32)
        labels[liked], labels[disliked] = LIKED, DISLIKED
        return _drawn(labels, rng) if len(liked) or len(disliked) else _drawn(labels[:0], rng)

    def of_pictures(self, shown: NDArray[np.int64], liked: NDArray[np.int64], rng: np.random.Generator) -> Asked:
        """What pictures (N,) of the one side show more often than those of the other, and what both show as often."""
        counts = (np.where(liked, 1, -1)[:, None] * self._shown[shown]).sum(0)
        labels = np.where(counts >= _MARGIN, LIKED, np.where(counts <= -_MARGIN, DISLIKED, NEITHER))
        return _drawn(labels.astype(np.float32), rng)


def _drawn(labels: NDArray[np.float32], rng: np.random.Generator) -> Asked:
    """Some phrases of each label at random, by the labels of all."""
    liked, disliked, rest = (rng.permutation(np.flatnonzero(labels == one)) for one in (LIKED, DISLIKED, NEITHER))
    asked = np.concatenate([liked[:_EACH_SIDE], disliked[:_EACH_SIDE], rest])[:ASKED]
    left = ASKED - len(asked)
    return np.pad(asked, (0, left)), np.pad(labels[asked], (0, left), constant_values=np.nan)


def _numbers(phrases: Sequence[str], number: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([number[phrase] for phrase in phrases], np.int64)

"""Phrases that a model learns to judge after a row of pictures: what users said of them, or what the pictures say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from prefbench.api import TrainUser
from prefbench.models.mllms.model import IGNORED

ASKED = 8
"""Phrases per row."""
_MARGIN = 2
"""Pictures by which one side must show a phrase more often than the other."""
Asked = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Phrases (ASKED,) by number, and whether each is liked: 1, 0, or `IGNORED` where nobody judged it."""


class PhraseLabels:
    """Draws phrases and their labels; those that users like or dislike, in words of theirs.

    Args:
        rows: digest of a picture to its row.
    """

    def __init__(self, train_users: Sequence[TrainUser], rows: Mapping[str, int]) -> None:
        self.phrases: tuple[str, ...] = tuple(sorted({p for one in train_users for p in (*one.likes, *one.dislikes)}))
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
        """What the user said of likes and dislikes, at most half of the phrases from each side."""
        sides = self._told[user][::-1] if flipped else self._told[user]
        chosen = [rng.permutation(side)[: ASKED // 2] for side in sides]
        return _filled(np.concatenate(chosen), np.repeat([1, 0], [len(side) for side in chosen]))

    def of_pictures(self, shown: NDArray[np.int64], liked: NDArray[np.int64], rng: np.random.Generator) -> Asked:
        """Phrases that pictures (N,) of the one side show more often than those of the other."""
        counts = (np.where(liked, 1, -1)[:, None] * self._shown[shown]).sum(0)
        told = rng.permutation(np.flatnonzero(np.abs(counts) >= _MARGIN))[:ASKED]
        return _filled(told, (counts[told] > 0).astype(np.int64))


def _numbers(phrases: Sequence[str], number: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([number[phrase] for phrase in phrases], np.int64)


def _filled(asked: NDArray[np.int64], labels: NDArray[np.int64]) -> Asked:
    """So many, the last of them without a label."""
    left = ASKED - len(asked)
    return np.pad(asked, (0, left)), np.pad(labels, (0, left), constant_values=IGNORED)

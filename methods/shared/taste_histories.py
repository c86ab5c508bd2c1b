"""Histories and pictures to ask about, as rows of features: what a preference model learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from prefbench.api import TrainUser

from ..ours.train.conversations import Persona, Sizes, at_most, pick

USERS, QUERIES = 64, 16
"""Users per batch, and images that each of them is asked about."""


class HistoryBatch(NamedTuple):
    """Histories of H images at most, and Q images to ask each user about; features have D numbers."""

    signs: Tensor
    """(B, H): 1 liked, -1 disliked, 0 not there."""
    history: Tensor
    """(B, H, D)."""
    asked: Tensor
    """(B, Q, D)."""
    liked: Tensor
    """(B, Q) answers, 0 or 1."""


@dataclass(frozen=True)
class HistorySource:
    """Users whose histories a preference model learns from.

    Args:
        rows: digest of an image to its row of `features` (N, D).
    """

    train_users: Sequence[TrainUser]
    rows: Mapping[str, int]
    features: Tensor
    sizes: Sizes = field(default_factory=Sizes)

    def draw(self, rng: np.random.Generator) -> HistoryBatch:
        """Histories of random users, half of them reversed, and images that they do not show to ask about."""
        longest = 2 * self.sizes.most
        signs, history = np.zeros((USERS, longest), np.int64), np.zeros((USERS, longest), np.int64)
        queries = np.zeros((USERS, QUERIES), np.int64)
        liked = (rng.random((USERS, QUERIES)) < 0.5).astype(np.float32)
        for user in range(USERS):
            images, (likes, dislikes) = self._history(rng)
            signs[user, : len(images)], history[user, : len(images)] = zip(*images, strict=True)
            for i, like in enumerate(liked[user]):
                queries[user, i] = pick(likes if like else dislikes, rng)
        history_features, query_features = (self.features[torch.from_numpy(rows)] for rows in (history, queries))
        return HistoryBatch(torch.from_numpy(signs), history_features, query_features, torch.from_numpy(liked))

    def _history(self, rng: np.random.Generator) -> tuple[list[tuple[int, int]], list[list[int]]]:
        """Sign and row of each image that a random user's history shows; rows of the likes and dislikes it does not."""
        persona = Persona.of(pick(self.train_users, rng), flipped=rng.random() < 0.5)
        sides = [
            [self.rows[side[int(i)].picture.digest] for i in rng.permutation(len(side))]
            for side in (persona.liked, persona.disliked)
        ]
        counts = [at_most(size, side) for size, side in zip(self.sizes.draw(rng), sides, strict=True)]
        examples = [(sign, row) for sign, side, n in zip((1, -1), sides, counts, strict=True) for row in side[:n]]
        return examples, [side[n:] for side, n in zip(sides, counts, strict=True)]

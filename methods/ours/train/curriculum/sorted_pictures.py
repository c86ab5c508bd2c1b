"""Pictures sorted by a hidden rule: what a model with random weights learns in-context examples from, before users.

A public language model has met rows of examples in its pretraining; a fresh one has not, and a thousand users with
noisy judgments do not teach it to compare a picture with those before it. A rule is about what a picture shows: a few
of its caption's phrases, or a few of the directions in which the model's own image tokens vary most. Nobody likes or
judges anything here, and nothing is known of how users do: a rule's weights are standard normal, and a picture is on
one side where its sum is above the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from prefbench.api import History, TrainUser

from ..conversations import judgments
from .described_images import whitened

DIRECTIONS = 32
"""Directions of the image tokens that rules may be about."""
MOST = 3
"""Phrases or directions in one rule."""
_SIDE, _LEAST, _CANDIDATES = 24, 8, 128


class SortedPictures:
    """Draws a rule and pictures on both sides of it, as a history of likes and dislikes without words.

    Args:
        tokens: image tokens (N, tokens, W) of all judged images, in the order of `judgments`.
    """

    def __init__(self, train_users: Sequence[TrainUser], tokens: Tensor) -> None:
        self.judgments = [j for train_user in train_users for j in judgments(train_user)]
        self.looks = whitened(tokens.flatten(1), DIRECTIONS).numpy()
        shows = {digest: phrases for train_user in train_users for digest, phrases in train_user.shows.items()}
        self.phrases = sorted({phrase for phrases in shows.values() for phrase in phrases})
        column = {phrase: i for i, phrase in enumerate(self.phrases)}
        self.shown = np.zeros((len(self.judgments), len(self.phrases)), np.float32)
        for row, judgment in enumerate(self.judgments):
            for phrase in shows.get(judgment.picture.digest, ()):
                self.shown[row, column[phrase]] = 1

    def __call__(self, rng: np.random.Generator) -> TrainUser:
        """8 to 24 pictures per side; a rule that finds fewer on one side is drawn again."""
        while True:
            about = self.shown if self.phrases and rng.random() < 0.5 else self.looks
            rows = rng.integers(len(self.judgments), size=_CANDIDATES)
            used = rng.permutation(about.shape[1])[: int(rng.integers(1, MOST + 1))]
            sums = about[rows][:, used] @ rng.standard_normal(len(used))
            sides = [rows[above][:_SIDE] for above in (sums > sums.mean(), sums < sums.mean())]
            if min(map(len, sides)) >= _LEAST:
                liked, disliked = (tuple(self.judgments[int(row)] for row in side) for side in sides)
                return TrainUser(History("sorted", liked, disliked))

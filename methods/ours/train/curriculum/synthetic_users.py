"""Synthetic users for training: they have real users' worded preferences, and further ones without words.

A model with random weights does not learn from a thousand users alone to average a history, to contrast its sides, and
that a preference has few components. So each synthetic user joins a real user's words with random preferences along
directions that users were found to care about, and judges other images, with noise.

The constants are those by which picturebook's own users choose (`prefbench/suites/picturebook/users/`), which judgments
of real people would not reveal; `ours.md` states this limit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prefbench.api import History, TrainUser

from ..conversations import judgments, pick
from .described_images import DescribedImages, Floats32

JUDGED, CANDIDATES = 24, 4
"""Judgments per side, and images per judgment, of which the best is liked and the worst disliked."""
SHARPNESS, VAGUE_SHARPNESS = 12.0, 4.0
"""Inverse temperature of choices, in units of the utility of the best image; one user in six is vague."""
DISLIKE_WEIGHT = -0.6
"""Weight of a disliked phrase, relative to a liked one."""
LEANINGS = 4
"""Directions beyond words; each synthetic user prefers something along one or two of them."""


class SyntheticUsers:
    """Draws synthetic users over the images of real train users.

    `Judgment.liked` still holds the original owner's label: use the side of the history that a judgment is on.
    """

    def __init__(self, train_users: Sequence[TrainUser], described: DescribedImages) -> None:
        self.train_users, self.described = train_users, described
        self.judgments = [j for train_user in train_users for j in judgments(train_user)]
        self.shows = {digest: phrases for train_user in train_users for digest, phrases in train_user.shows.items()}

    def __call__(self, rng: np.random.Generator) -> TrainUser:
        """A user who chooses by a utility with Gumbel noise: a softmax at the inverse temperature `SHARPNESS`."""
        words = pick(self.train_users, rng)
        rows = rng.integers(len(self.judgments), size=(JUDGED, CANDIDATES))
        utility = self._worded(words, rows, rng) + self._leaning(rows, rng)
        utility -= utility.mean()
        utility /= max(float(utility.max()), 1e-6)
        sharpness = VAGUE_SHARPNESS if rng.random() < 1 / 6 else SHARPNESS
        best = np.argmax(utility + rng.gumbel(size=utility.shape) / sharpness, axis=1)
        noisy = utility + rng.gumbel(size=utility.shape) / sharpness
        noisy[np.arange(JUDGED), best] = np.inf  # the best one is not the worst one too
        worst = np.argmin(noisy, axis=1)
        liked, disliked = rows[np.arange(JUDGED), best], rows[np.arange(JUDGED), worst]
        return self._train_user(liked.tolist(), disliked.tolist(), words)

    def _worded(self, words: TrainUser, rows: NDArray[np.int64], rng: np.random.Generator) -> Floats32:
        weights = np.zeros(len(self.described.phrases), np.float32)
        for phrases, sign in ((words.likes, 1.0), (words.dislikes, DISLIKE_WEIGHT)):
            for phrase in phrases:
                if phrase in self.described.phrases:
                    weights[self.described.phrases.index(phrase)] = sign * rng.uniform(0.4, 1.4)
        return np.asarray(self.described.shown[rows] @ weights, np.float32)

    def _leaning(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Floats32:
        """More, less, or the middle of one or two directions is best."""
        unlabelled = self.described.unlabelled[:, :LEANINGS]
        total = np.zeros(rows.shape, np.float32)
        for direction in rng.permutation(unlabelled.shape[1])[: rng.integers(1, 3)]:
            axis = 0.15 * rng.standard_normal((unlabelled.shape[1],))
            axis[direction] = rng.choice([-1.0, 1.0])
            along = unlabelled[rows] @ axis
            shape = 1.3 * (0.8 - np.abs(along)) if rng.random() < 1 / 3 else along
            total += np.asarray(rng.uniform(0.2, 0.5) * shape, np.float32)
        return total

    def _train_user(self, liked: Sequence[int], disliked: Sequence[int], words: TrainUser) -> TrainUser:
        sides = [tuple(self.judgments[row] for row in side) for side in (liked, disliked)]
        shows = {j.picture.digest: self.shows.get(j.picture.digest, ()) for side in sides for j in side}
        return TrainUser(History("practice", *sides), words.likes, words.dislikes, shows)

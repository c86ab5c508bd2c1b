"""Users who do not exist, to practise on: they like what real users say they like, and something beyond words.

A model that starts from nothing does not find out from a thousand users alone that a history is to be averaged, that
its sides are to be set against each other, and how few things a taste consists of. So real users' words are joined
with random leanings along directions that users were found to care about, and judge other pictures, with noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prefbench.api import History, TrainUser

from .conversations import judgments, pick

_SIDE, _LOT = 24, 4
"""Judgments a side of a practice user; each likes the best and dislikes the worst of a lot of so many pictures."""
_SHARPNESS, _VAGUE = 12.0, 4.0
"""Inverse temperature of their choices, in units of their liking of the best picture; one user in six is vague."""
_DISLIKE = -0.6
"""Weight of a phrase that is disliked beside one that is liked."""
_LEANINGS = 4
"""Directions that practice users lean along, one or two each."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Described:
    """What is known of every judged picture: the phrases it shows, and where it lies along directions beyond them.

    Args:
        phrases: in the order of the columns of `shown`.
        shown: (N, phrases), 1 where a picture shows a phrase.
        unsaid: (N, directions), mean 0 and variance 1: what phrases do not explain, what users care about most first.
    """

    phrases: tuple[str, ...]
    shown: Floats
    unsaid: Floats

    @classmethod
    def of(
        cls, train_users: Sequence[TrainUser], components: Tensor, metric: Tensor, *, directions: int = 12
    ) -> Described:
        """From principal components (N, D) of what is seen, and a metric (D, D) by which users judge them."""
        known = {digest: shown for train_user in train_users for digest, shown in train_user.shows.items()}
        phrases = tuple(sorted({phrase for shown in known.values() for phrase in shown}))
        column = {phrase: i for i, phrase in enumerate(phrases)}
        rows = [judgment for train_user in train_users for judgment in judgments(train_user)]
        shown = np.zeros((len(rows), len(phrases)), np.float32)
        for row, judgment in enumerate(rows):
            for phrase in known.get(judgment.picture.digest, ()):
                shown[row, column[phrase]] = 1
        return cls(phrases, shown, _beyond(components, torch.from_numpy(shown), metric, directions))

    @property
    def features(self) -> Tensor:
        """(N, phrases + directions), mean 0 and variance 1."""
        deviations = (self.shown - self.shown.mean(0)) / np.maximum(self.shown.std(0), 1e-6)
        return torch.from_numpy(np.concatenate([deviations, self.unsaid], 1, dtype=np.float32))


class SyntheticUsers:
    """Draws practice users over the pictures of real lessons.

    Whether a judgment says `liked` is still its first owner's word: the side it stands on counts.
    """

    def __init__(self, train_users: Sequence[TrainUser], described: Described) -> None:
        self.train_users, self.described = train_users, described
        self.judgments = [j for train_user in train_users for j in judgments(train_user)]
        self.shows = {digest: phrases for train_user in train_users for digest, phrases in train_user.shows.items()}

    def __call__(self, rng: np.random.Generator) -> TrainUser:
        words = pick(self.train_users, rng)
        rows = rng.integers(len(self.judgments), size=(_SIDE, _LOT))
        liking = self._worded(words, rows, rng) + self._leaning(rows, rng)
        liking -= liking.mean()
        liking /= max(float(liking.max()), 1e-6)
        sharpness = _VAGUE if rng.random() < 1 / 6 else _SHARPNESS
        best = np.argmax(liking + rng.gumbel(size=liking.shape) / sharpness, axis=1)
        doubted = liking + rng.gumbel(size=liking.shape) / sharpness
        doubted[np.arange(_SIDE), best] = np.inf
        worst = np.argmin(doubted, axis=1)
        liked, disliked = rows[np.arange(_SIDE), best], rows[np.arange(_SIDE), worst]
        return self._lesson(liked.tolist(), disliked.tolist(), words)

    def _worded(self, words: TrainUser, rows: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        weights = np.zeros(len(self.described.phrases), np.float32)
        for phrases, sign in ((words.likes, 1.0), (words.dislikes, _DISLIKE)):
            for phrase in phrases:
                if phrase in self.described.phrases:
                    weights[self.described.phrases.index(phrase)] = sign * rng.uniform(0.4, 1.4)
        return np.asarray(self.described.shown[rows] @ weights, np.float32)

    def _leaning(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """More, less, or the middle of one or two directions is best."""
        beyond = self.described.unsaid[:, :_LEANINGS]
        total = np.zeros(rows.shape, np.float32)
        for direction in rng.permutation(beyond.shape[1])[: rng.integers(1, 3)]:
            axis = 0.15 * rng.standard_normal((beyond.shape[1],))
            axis[direction] = rng.choice([-1.0, 1.0])
            along = beyond[rows] @ axis
            shape = 1.3 * (0.8 - np.abs(along)) if rng.random() < 1 / 3 else along
            total += np.asarray(rng.uniform(0.2, 0.5) * shape, np.float32)
        return total

    def _lesson(self, liked: Sequence[int], disliked: Sequence[int], words: TrainUser) -> TrainUser:
        sides = [tuple(self.judgments[row] for row in side) for side in (liked, disliked)]
        shows = {j.picture.digest: self.shows.get(j.picture.digest, ()) for side in sides for j in side}
        return TrainUser(History("practice", *sides), words.likes, words.dislikes, shows)


def whitened(features: Tensor, components: int) -> Tensor:
    """Principal components of features (N, D), each of variance 1: (N, components)."""
    sample = features[torch.linspace(0, len(features) - 1, min(len(features), 8000)).long()].float()
    mean = sample.mean(0)
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    _, _, axes = torch.svd_lowrank(sample - mean, q=min(components, *sample.shape), niter=4)
    torch.set_rng_state(generator_state)
    scores = torch.cat([(part.float() - mean) @ axes for part in torch.split(features, 8192)])
    return scores / scores.std(0).clamp(min=1e-6)


def _beyond(components: Tensor, shown: Tensor, metric: Tensor, directions: int) -> Floats:
    """The directions of greatest weight in the metric, among those that no phrase explains."""
    components = components.float()
    known = torch.cat([shown, torch.ones(len(shown), 1)], 1)
    slopes = torch.linalg.lstsq(known, components, driver="gelsd").solution
    free = torch.eye(components.shape[1])
    if shown.shape[1]:
        spanned, values, _ = torch.linalg.svd(slopes[:-1].T, full_matrices=False)
        spanned = spanned[:, values > 1e-4 * values.max()]
        free -= spanned @ spanned.T
    weights, axes = torch.linalg.eigh(free @ metric @ free)
    chosen = axes[:, weights.abs().argsort(descending=True)[:directions]]
    along = (components - known @ slopes) @ chosen
    return np.asarray(along / along.std(0).clamp(min=1e-6), np.float32)

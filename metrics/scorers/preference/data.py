"""Training data of the scorer `preference`: judgments, as features, of users that no method learns from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prefbench.api import VIEWERS, Extractor, History, Judgment, Split, Suite, to_pixels

from .model import Histories
from .prompts import word_counts

SHOWN, ASKED = 20, 12
"""Judgments per side: shown in an episode, at most, and queried."""


@dataclass(frozen=True)
class Pool:
    """All judgments of some users.

    Args:
        features: (N, D).
        words: hashed words (N, WORDS) of the prompts.
        prompts: (N,) an index of the different prompts.
        liked, disliked: for each user the row numbers of the judgments on that side.
    """

    features: Tensor
    words: Tensor
    prompts: NDArray[np.int64]
    liked: Sequence[NDArray[np.int64]]
    disliked: Sequence[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.liked)


def pool_of(
    suite: Suite,
    split: Split,
    encoder: Extractor,
    *,
    sides: int = 8,
    without: Collection[str] = (),
    further: Sequence[Suite] = (),
) -> Pool:
    """All judgments of the users of a split with at least `sides` likes and as many dislikes.

    Args:
        suite: whose users.
        split: which of them.
        encoder: gives the features.
        sides: judgments on either side at least.
        without: users of the suite who are left out.
        further: suites with other users of the same split, who are added.
    """
    judgments: list[Judgment] = []
    liked: list[NDArray[np.int64]] = []
    disliked: list[NDArray[np.int64]] = []
    for source, user in _users((suite, *further), split, without):
        histories = [source.history(user, viewer) for viewer in VIEWERS]
        sides_of = [
            [j for viewer in histories for j in viewer.liked],
            [j for viewer in histories for j in viewer.disliked],
        ]
        if min(map(len, sides_of)) < sides:
            continue
        for side, rows in zip(sides_of, (liked, disliked), strict=True):
            rows.append(np.arange(len(judgments), len(judgments) + len(side)))
            judgments += side
    return Pool(
        as_features(judgments, encoder),
        word_counts([j.prompt for j in judgments]),
        np.unique([j.prompt for j in judgments], return_inverse=True)[1],
        liked,
        disliked,
    )


def _users(suites: Sequence[Suite], split: Split, without: Collection[str]) -> Iterator[tuple[Suite, str]]:
    for suite in suites:
        for user in suite.users(split):
            if suite is not suites[0] or user.id not in without:
                yield suite, user.id


def as_features(judgments: Sequence[Judgment], encoder: Extractor) -> Tensor:
    """Features (N, D) of judged pictures, float32; decoded in chunks."""
    chunks = [
        encoder.images([to_pixels(j.picture.load()) for j in judgments[start : start + 500]])
        for start in range(0, len(judgments), 500)
    ]
    return torch.from_numpy(np.concatenate(chunks)).float()


def as_histories(history: History, features: Tensor) -> Histories:
    """One history as a batch of one; the features (N, D) are of its likes, then of its dislikes."""
    labels = torch.tensor([1.0] * len(history.liked) + [-1.0] * len(history.disliked))
    return Histories(features[None], labels[None])


@dataclass(frozen=True)
class Episode:
    """Histories of a batch of users, and further judgments (B, Q, D) of them: likes, and as many dislikes."""

    histories: Histories
    liked: Tensor
    disliked: Tensor


def draw_episode(pool: Pool, rng: np.random.Generator, users: int) -> Episode:
    """Users drawn at random; half the episodes show all judgments, one in ten none, the others a random number."""
    full = min(SHOWN, min(len(rows) for rows in (*pool.liked, *pool.disliked)) - 1)
    draw = rng.random()
    per_side = full if draw < 0.5 else 0 if draw < 0.6 else int(rng.integers(1, full + 1))
    owners = rng.integers(len(pool), size=users)
    cut = [[rng.permutation(side[u]) for side in (pool.liked, pool.disliked)] for u in owners]
    rows = np.array([np.concatenate([side[:per_side] for side in sides]) for sides in cut])
    queries = np.array([[rng.choice(side[per_side:], ASKED) for side in sides] for sides in cut])
    labels = torch.cat([torch.ones(users, per_side), -torch.ones(users, per_side)], dim=1)
    liked, disliked = (pool.features[queries[:, side]] for side in (0, 1))
    return Episode(Histories(pool.features[rows.astype(np.int64)], labels), liked, disliked)


def draw_prompts(pool: Pool, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (N, D), hashed words (N, WORDS), and whether the picture was judged for that prompt (N,).

    Half of the rows have another prompt, and half of these one that shares words with the picture's own.
    """
    rows = rng.integers(len(pool.prompts), size=size)
    others = rng.integers(len(pool.prompts), size=(size, 8))
    shared = (pool.words[others] * pool.words[rows][:, None]).sum(-1).numpy()
    shared[pool.prompts[others] == pool.prompts[rows][:, None]] = -1
    nearest = others[np.arange(size), shared.argmax(1)]
    source = np.where(rng.random(size) < 0.5, rows, np.where(rng.random(size) < 0.5, nearest, others[:, 0]))
    same = torch.from_numpy(pool.prompts[source] == pool.prompts[rows]).float()
    return pool.features[rows], pool.words[source], same

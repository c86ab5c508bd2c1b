"""Pictures sorted by a hidden rule: what a model with random weights learns in-context examples from, before users.

A public language model has met rows of examples in its pretraining; a fresh one has not, and a thousand users with
noisy judgments do not teach it to compare a picture with those before it. A rule is nothing but likeness: on one side
are the pictures most like one to three pictures drawn at random and least like as many others, in what pictures of one
prompt do not share: what a prompt asks for is no reason to like one of its pictures more than another. Nobody likes or
judges anything here, no caption is read, and nothing is known of how users do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DIRECTIONS = 128
"""Directions of the image tokens by which pictures are compared."""
MOST = 3
"""Most pictures that a rule is like, and unlike."""
_SPREAD = 0.5
"""Power of a direction's deviation that is left: with 0 tiny differences count as much as large ones."""
_CANDIDATES = 4
"""Pictures per picture that is shown, so that each side is a quarter's."""

_ENOUGH = 8
"""Pictures of a prompt of which a mean is taken."""
_AT_ONCE = 8192


class SortedPictures:
    """Draws rules and pictures on both sides of them, by their rows.

    Args:
        tokens: image tokens (N, tokens, W) of all judged images.
        prompts: (N,) their prompts.
    """

    def __init__(self, tokens: Tensor, prompts: Sequence[str]) -> None:
        features = _without_prompts(tokens.flatten(1), prompts)
        self.looks: NDArray[np.float32] = _components(features).numpy()

    def __call__(self, rng: np.random.Generator, pictures: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the pictures of each side, as many of the one as of the other."""
        like, unlike = rng.integers(len(self.looks), size=(2, int(rng.integers(1, MOST + 1))))
        rule = self.looks[like].sum(0) - self.looks[unlike].sum(0)
        rows = rng.integers(len(self.looks), size=_CANDIDATES * pictures)
        rows = rows[np.argsort(self.looks[rows] @ rule)]
        least, most = rng.permutation(rows[:pictures]), rng.permutation(rows[-pictures:])
        return most[: pictures // 2], least[: pictures // 2]


def _components(features: Tensor) -> Tensor:
    """Principal components of features (N, D): (N, DIRECTIONS), of each of which `_SPREAD` of the deviation is left."""
    sample = features[torch.linspace(0, len(features) - 1, min(len(features), 8000)).long()].float()
    mean = sample.mean(0)
    # The randomised SVD draws from torch's global generator; later draws must not depend on that.
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    _, _, axes = torch.svd_lowrank(sample - mean, q=min(DIRECTIONS, *sample.shape), niter=4)
    torch.set_rng_state(generator_state)
    scores = torch.cat([(chunk.float() - mean) @ axes for chunk in torch.split(features, _AT_ONCE)])
    return scores / scores.std(0).clamp(min=1e-6) ** (1 - _SPREAD)


def _without_prompts(features: Tensor, prompts: Sequence[str]) -> Tensor:
    """Features (N, D) less the mean of their prompt's; those of a prompt of few pictures stay as they are."""
    group = torch.from_numpy(np.unique(np.asarray(prompts), return_inverse=True)[1])
    counts = torch.bincount(group)
    means = torch.zeros(len(counts), features.shape[1])
    chunks = torch.split(torch.arange(len(features)), _AT_ONCE)
    for rows in chunks:
        means.index_add_(0, group[rows], features[rows].float())
    means = torch.where(counts[:, None] < _ENOUGH, 0.0, means / counts[:, None])
    rest = [features[rows].float() - means[group[rows]] for rows in chunks]
    return torch.cat([part.to(features.dtype) for part in rest])

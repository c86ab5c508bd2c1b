"""Descriptions of judged images: the phrases they show, and positions along directions that no phrase explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prefbench.api import TrainUser

from ..conversations import judgments

Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class DescribedImages:
    """One row per judgment, in the order of `conversations.judgments`.

    Args:
        phrases: in the order of the columns of `shown`.
        shown: (N, phrases), 1 where an image shows a phrase.
        unlabelled: (N, directions), mean 0 and variance 1: what phrases do not explain, what users care about most
            first.
    """

    phrases: tuple[str, ...]
    shown: Floats32
    unlabelled: Floats32

    @classmethod
    def of(
        cls, train_users: Sequence[TrainUser], components: Tensor, metric: Tensor, *, directions: int = 12
    ) -> DescribedImages:
        """Takes principal components (N, D) of image states, and the metric (D, D) by which users judge them."""
        phrases_of = {digest: words for train_user in train_users for digest, words in train_user.shows.items()}
        phrases = tuple(sorted({phrase for words in phrases_of.values() for phrase in words}))
        column = {phrase: i for i, phrase in enumerate(phrases)}
        rows = [judgment for train_user in train_users for judgment in judgments(train_user)]
        indicators = np.zeros((len(rows), len(phrases)), np.float32)
        for row, judgment in enumerate(rows):
            for phrase in phrases_of.get(judgment.picture.digest, ()):
                indicators[row, column[phrase]] = 1
        unlabelled = unlabelled_directions(components, torch.from_numpy(indicators), metric, directions)
        return cls(phrases, indicators, unlabelled)

    @property
    def features(self) -> Tensor:
        """(N, phrases + directions), mean 0 and variance 1."""
        deviations = (self.shown - self.shown.mean(0)) / np.maximum(self.shown.std(0), 1e-6)
        return torch.from_numpy(np.concatenate([deviations, self.unlabelled], 1, dtype=np.float32))


def whitened(features: Tensor, components: int, *, left: float = 0.0) -> Tensor:
    """Principal components of features (N, D): (N, components).

    Args:
        left: power of its standard deviation that each component keeps; with 0 all have variance 1.
    """
    sample = features[torch.linspace(0, len(features) - 1, min(len(features), 8000)).long()].float()
    mean = sample.mean(0)
    # The randomised SVD draws from torch's global generator; later draws must not depend on that.
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    _, _, axes = torch.svd_lowrank(sample - mean, q=min(components, *sample.shape), niter=4)
    torch.set_rng_state(generator_state)
    scores = torch.cat([(chunk.float() - mean) @ axes for chunk in torch.split(features, 8192)])
    return scores / scores.std(0).clamp(min=1e-6) ** (1 - left)


def unlabelled_directions(components: Tensor, shown: Tensor, metric: Tensor, directions: int) -> Floats32:
    """Positions of images along the directions of greatest weight in the metric, among those that no phrase explains.

    With B the least-squares slopes of the components C on the phrases S, and P the projection off the span of B's
    rows: (C - S B) v for the eigenvectors v of P M P with the largest |eigenvalue|, scaled to variance 1. The metric is
    not positive definite, so a direction along which users like less counts as much as one along which they like more.
    """
    components = components.float()
    with_intercept = torch.cat([shown, torch.ones(len(shown), 1)], 1)
    # Phrases that exclude each other make columns dependent, which only this driver allows.
    slopes = torch.linalg.lstsq(with_intercept, components, driver="gelsd").solution
    projection = torch.eye(components.shape[1])
    if shown.shape[1]:
        spanned, values, _ = torch.linalg.svd(slopes[:-1].T, full_matrices=False)
        spanned = spanned[:, values > 1e-4 * values.max()]
        projection -= spanned @ spanned.T
    weights, axes = torch.linalg.eigh(projection @ metric @ projection)
    strongest = axes[:, weights.abs().argsort(descending=True)[:directions]]
    along = (components - with_intercept @ slopes) @ strongest
    return np.asarray(along / along.std(0).clamp(min=1e-6), np.float32)

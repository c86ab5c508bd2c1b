"""A pairwise judge of one's own: of two pictures, the one whose mean colour is nearer to that of the likes.

prefbench check scorer examples/nearer_picture.py:NearerPicture
prefbench report runs/* --name duels -p judge=examples/nearer_picture.py:NearerPicture
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from prefbench.api import Features, History, PairScorer, Pixels, PrefbenchError, ScorerCard, to_pixels


class NearerPicture(PairScorer):
    """P(first) = sigmoid((distance of the second to the liked mean colour - distance of the first) / 16 levels)."""

    card = ScorerCard(
        name="nearer-picture",
        version="1",
        summary="of two pictures the one nearer in mean colour to the likes",
        licence="Apache-2.0",
        personal=True,
        encoders=(),
        trained_on=(),
        caveats=("never trained: 16 levels are a guess, so its probabilities are not calibrated",),
    )

    @property
    def id(self) -> str:
        no_weights = hashlib.sha256(b"").hexdigest()
        return f"{self.card.name} {self.card.version} {no_weights}"

    def prefer_first(
        self, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
    ) -> Features:
        if not history.liked:
            raise PrefbenchError("nearer-picture needs likes")
        liked = np.mean([to_pixels(judgment.picture.load()).mean(axis=(0, 1)) for judgment in history.liked], axis=0)
        far, near = ([np.linalg.norm(p.mean(axis=(0, 1)) - liked) for p in side] for side in (second, first))
        probabilities: Features = 1 / (1 + np.exp((np.array(near) - np.array(far)) / 16))
        return probabilities

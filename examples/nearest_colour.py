"""A personal scorer of one's own: pictures are liked whose colours are nearer to the likes than to the dislikes.

prefbench check scorer examples/nearest_colour.py:NearestColour
prefbench run --method best-of-n -p n=4 -p scorer=examples/nearest_colour.py:NearestColour --users 5
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from prefbench.api import Features, History, Judgment, Pixels, PrefbenchError, Scorer, ScorerCard, to_pixels


class NearestColour(Scorer):
    """P(liked) = sigmoid((distance to the disliked mean colour - distance to the liked mean colour) / 16 levels)."""

    card = ScorerCard(
        name="nearest-colour",
        version="1",
        summary="nearer in mean colour to the likes than to the dislikes",
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

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        if not history.liked or not history.disliked:
            raise PrefbenchError("nearest-colour needs likes and dislikes")
        liked, disliked = _mean_colour(history.liked), _mean_colour(history.disliked)
        colours = np.array([picture.mean(axis=(0, 1)) for picture in pictures]).reshape(-1, 3)
        margins = np.linalg.norm(colours - disliked, axis=1) - np.linalg.norm(colours - liked, axis=1)
        probabilities: Features = 1 / (1 + np.exp(-margins / 16))
        return probabilities


def _mean_colour(judgments: Sequence[Judgment]) -> Features:
    """The mean red, green and blue (3,) of judged pictures, in levels of 0 to 255."""
    return np.mean([to_pixels(judgment.picture.load()).mean(axis=(0, 1)) for judgment in judgments], axis=0)

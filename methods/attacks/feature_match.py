"""`feature-match`: the plain picture whose features lie nearest to those of the likes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np

from prefbench.api import (
    Context,
    Extractor,
    Features,
    FloatArray,
    History,
    MethodCard,
    Pixels,
    Profile,
    to_pixels,
)
from prefbench.registry import make

from .chosen import Chosen


class FeatureMatch(Chosen):
    """The candidate whose features lie nearest to those of the likes: wins similarity to them, whatever they show.

    Args:
        n: candidates per sample; the first is what `prompt-only` draws.
        extractor: whose features.
    """

    card = MethodCard(
        name="feature-match",
        version="1",
        summary="the best of n images of the prompt alone, by its features' cosine to the mean of the likes'",
        uses_disliked=False,
        control=True,
        attack="the plain image whose features lie nearest to the likes'",
        encoders=("mini-clip",),
        weights=("mini-clip",),
    )

    def __init__(self, *, n: int = 8, extractor: Annotated[str, "extractor"] = "mini-clip") -> None:
        super().__init__(n=n)
        self.extractor = extractor

    def setup(self, context: Context) -> None:
        """Loads the extractor."""
        super().setup(context)
        self._features: Extractor = make("extractor", self.extractor)

    @property
    def card_in_use(self) -> MethodCard:
        """The card with the encoder that it looks through."""
        weights = self.card.weights if self.extractor == "mini-clip" else ()
        return replace(self.card, encoders=(self.extractor,), weights=weights)

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the extractor's id."""
        return hashlib.sha256(self._features.id.encode()).hexdigest()

    def profile(self, history: History) -> Profile:
        pixels = [to_pixels(judgment.picture.load()) for judgment in history.liked]
        return Profile(history.user, _directions(self._features.images(pixels)).mean(axis=0) if pixels else None)

    def scores(self, payload: Features, pixels: Sequence[Pixels]) -> FloatArray:
        return np.asarray(_directions(self._features.images(pixels)) @ payload)


def _directions(features: Features) -> Features:
    """Unit vectors; zeros stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions: Features = np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
    return directions

"""`best-of-n`: draws several candidates from the prompt alone and keeps the one that a scorer likes best."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from prefbench.api import (
    Context,
    Drawing,
    History,
    Method,
    MethodCard,
    PrefbenchError,
    Profile,
    Request,
    Scorer,
    to_pixels,
)
from prefbench.registry import load

from ..shared.candidates import draw_candidates


class BestOfN(Method):
    """Selection by the scorer that judges: any lead over `prompt-only` in a metric by that scorer comes from selection.

    The first candidate is what `prompt-only` draws. The scorer sees the history that methods see.

    Args:
        n: candidates per sample.
        scorer: a registered scorer, or path/to/file.py:Class.
    """

    card = MethodCard(
        name="best-of-n",
        version="1",
        summary="the best of n images of the prompt alone, by a scorer that is given the history",
        uses_prompts=True,
        control=True,
        attack="the best of n plain images by the scorer",
        weights=("preference", "mini-dino"),
    )

    def __init__(self, *, n: int = 8, scorer: Annotated[str, "scorer"] = "preference") -> None:
        if n < 1:
            raise PrefbenchError(f"n must be at least 1, got {n}")
        self.n, self.scorer = n, scorer

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for an unknown scorer."""
        super().setup(context)
        scorer = load("scorer", self.scorer)
        if not (isinstance(scorer, type) and issubclass(scorer, Scorer)):
            raise PrefbenchError(f"scorer {self.scorer!r} is no class derived from prefbench.api.Scorer")
        self.judge: Scorer = scorer()

    @property
    def card_in_use(self) -> MethodCard:
        """The card with the scorer that it picks by; weights are listed for the shipped scorer only."""
        weights = self.card.weights if self.scorer == "preference" else ()
        return replace(self.card, selected_by=(self.judge.card.name,), weights=weights)

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the scorer's id: another scorer picks other images."""
        return hashlib.sha256(self.judge.id.encode()).hexdigest()

    def profile(self, history: History) -> Profile:
        return Profile(history.user, history)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        candidates = draw_candidates(self.context.backbone, requests, self.n)
        best = [self._best(request, images) for request, images in zip(requests, candidates, strict=True)]
        nfe = self.n * self.context.backbone.nfe
        choices = zip(requests, candidates, best, strict=True)
        return [Drawing(images[i], request.prompt, nfe) for request, images, i in choices]

    def _best(self, request: Request, images: Sequence[Any]) -> int:
        """The index of the image with the highest score, the first of equals. One request per call: a scorer
        whose scores depend on the rest of a batch could change the choice.
        """
        pixels = [to_pixels(image) for image in images]
        scores = self.judge.score(request.profile.payload, [request.prompt] * len(pixels), pixels)
        if np.shape(scores) != (len(pixels),) or not np.isfinite(scores).all():
            raise PrefbenchError(f"scorer {self.judge.card.name} gave no number for each image of {request.prompt!r}")
        return int(np.argmax(scores))

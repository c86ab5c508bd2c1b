"""`clip-noise`: noise that a CLIP takes for the words of the prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

from prefbench.api import Context, Extractor, FloatArray, MethodCard, PrefbenchError, Request
from prefbench.api.gradients import SlopedExtractor, Slopes
from prefbench.registry import load

from ..shared.climbing import Through
from .noise import NoiseAttack

if TYPE_CHECKING:
    from torch import Tensor


class ClipNoise(NoiseAttack):
    """Climbs the cosine of image and prompt; it needs no history.

    Args:
        levels: the most that a number is changed by, of 255.
        steps: of gradient ascent.
        through: what the ascent averages over: nothing (`plain`), moves of one pixel (`shifts`), `shifts and jpeg`, or
            all that an audit looks through (`audit`).
        extractor: a registered extractor with both towers that gives gradients.
    """

    card = MethodCard(
        name="clip-noise",
        version="1",
        summary="the prompt alone, with noise that raises a CLIP's agreement with the prompt; it knows the weights",
        uses_liked=False,
        uses_disliked=False,
        uses_prompts=True,
        control=True,
        attack="noise that CLIP takes for the prompt",
        encoders=("mini-clip",),
        weights=("mini-clip",),
    )

    def __init__(
        self,
        *,
        levels: int = 8,
        steps: int = 20,
        through: Through = "plain",
        extractor: Annotated[str, "extractor"] = "mini-clip",
    ) -> None:
        super().__init__(levels=levels, steps=steps, through=through)
        self.extractor = extractor

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for an extractor that gives no gradients."""
        super().setup(context)
        self.towers = sloped_extractor(self.extractor)

    @property
    def card_in_use(self) -> MethodCard:
        """The card with the extractor that it climbs; weights are listed for the shipped one only."""
        weights = self.card.weights if self.extractor == "mini-clip" else ()
        return replace(self.card, encoders=(self.extractor,), weights=weights)

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the extractor's id: another one gives other noise."""
        return hashlib.sha256(cast("Extractor", self.towers).id.encode()).hexdigest()

    def slopes(self, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
        return agreement_slopes(self.towers, requests, pictures)


def sloped_extractor(name: str) -> SlopedExtractor:
    extractor = load("extractor", name)()
    if not isinstance(extractor, SlopedExtractor):
        raise PrefbenchError(f"extractor {name!r} gives no gradients")
    return extractor


def agreement_slopes(towers: SlopedExtractor, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
    """The cosine of every image and its prompt, and how it changes with the pixels."""
    import torch
    import torch.nn.functional as F

    texts = torch.from_numpy(cast("Extractor", towers).texts([request.prompt for request in requests]))

    def cosines(features: Tensor) -> Tensor:
        return F.cosine_similarity(features, texts.to(features), dim=1)

    return towers.image_slopes(pictures, cosines)

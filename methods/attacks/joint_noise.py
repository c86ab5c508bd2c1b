"""`joint-noise`: noise for the reader, the scorer and CLIP at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from prefbench.api import Context, Extractor, FloatArray, MethodCard, Request, Scorer, Truth
from prefbench.api.gradients import Slopes

from ..shared.climbing import Through
from .clip_noise import agreement_slopes, sloped_extractor
from .noise import NoiseAttack, together
from .reader_noise import sloped_truth, utility_slopes
from .scorer_noise import score_slopes, sloped_scorer

_SCORER, _CLIP = "preference", "mini-clip"


class JointNoise(NoiseAttack):
    """Climbs utility, score and agreement with the prompt together; each step gives all three the same weight.

    Args:
        levels: the most that a number is changed by, of 255.
        steps: of gradient ascent.
        through: what the ascent averages over: nothing (`plain`), moves of one pixel (`shifts`), `shifts and jpeg`, or
            all that an audit looks through (`audit`).
    """

    card = MethodCard(
        name="joint-noise",
        version="1",
        summary="the prompt alone, with noise that plays the reader, the scorer and mini-clip at once",
        uses_prompts=True,
        control=True,
        attack="noise for reader, scorer and CLIP at once",
        encoders=(_CLIP,),
        weights=("reader", "preference", "mini-dino", "mini-clip"),
    )

    def __init__(self, *, levels: int = 16, steps: int = 20, through: Through = "plain") -> None:
        super().__init__(levels=levels, steps=steps, through=through)

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a suite whose truth gives no gradients."""
        super().setup(context)
        self._truth = sloped_truth(context, self.card.name)
        self.judge, self._towers = sloped_scorer(_SCORER), sloped_extractor(_CLIP)

    @property
    def card_in_use(self) -> MethodCard:
        return replace(self.card, selected_by=(cast("Scorer", self.judge).card.name,))

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the ids of all three instruments: others give other noise."""
        ids = (cast("Truth", self._truth).id, cast("Scorer", self.judge).id, cast("Extractor", self._towers).id)
        return hashlib.sha256(repr(ids).encode()).hexdigest()

    def slopes(self, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
        parts = [
            utility_slopes(self._truth, requests, pictures),
            score_slopes(self.judge, requests, pictures),
            agreement_slopes(self._towers, requests, pictures),
        ]
        return together(parts)

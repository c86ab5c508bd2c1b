"""`scorer-noise`: noise that a scorer takes for what the user likes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, cast

from prefbench.api import Context, FloatArray, MethodCard, PrefbenchError, Request, Scorer
from prefbench.api.gradients import SlopedScorer, Slopes
from prefbench.registry import load

from ..shared.climbing import Through
from .noise import NoiseAttack


class ScorerNoise(NoiseAttack):
    """Climbs the score that a scorer gives for the history that methods see.

    Args:
        levels: the most that a number is changed by, of 255.
        steps: of gradient ascent.
        through: what the ascent averages over: nothing (`plain`), moves of one pixel (`shifts`), `shifts and jpeg`, or
            all that an audit looks through (`audit`).
        scorer: a registered scorer that gives gradients, or path/to/file.py:Class.
    """

    card = MethodCard(
        name="scorer-noise",
        version="1",
        summary="the prompt alone, with noise that raises the score of a scorer whose weights it knows",
        uses_prompts=True,
        control=True,
        attack="noise that the scorer takes for the user's likes",
        weights=("preference", "mini-dino"),
    )

    def __init__(
        self,
        *,
        levels: int = 8,
        steps: int = 20,
        through: Through = "plain",
        scorer: Annotated[str, "scorer"] = "preference",
    ) -> None:
        super().__init__(levels=levels, steps=steps, through=through)
        self.scorer = scorer

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a scorer that gives no gradients."""
        super().setup(context)
        self.judge = sloped_scorer(self.scorer)

    @property
    def card_in_use(self) -> MethodCard:
        """The card with the scorer that it climbs; weights are listed for the shipped scorer only."""
        weights = self.card.weights if self.scorer == "preference" else ()
        return replace(self.card, selected_by=(cast("Scorer", self.judge).card.name,), weights=weights)

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the scorer's id: another scorer gives other noise."""
        return hashlib.sha256(cast("Scorer", self.judge).id.encode()).hexdigest()

    def slopes(self, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
        return score_slopes(self.judge, requests, pictures)


def sloped_scorer(name: str) -> SlopedScorer:
    loaded = load("scorer", name)
    scorer: object = loaded() if isinstance(loaded, type) and issubclass(loaded, Scorer) else None
    if not isinstance(scorer, SlopedScorer):
        raise PrefbenchError(f"scorer {name!r} gives no gradients")
    return scorer


def score_slopes(scorer: SlopedScorer, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
    return scorer.score_slopes(requests[0].profile.payload, [request.prompt for request in requests], pictures)

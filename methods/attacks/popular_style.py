"""`popular-style`: the style that most train users like, in words, the same for everybody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from prefbench.api import Context, Drawing, Method, MethodCard, PrefbenchError, Request

from ..shared.phrases import popular_phrases
from ..shared.worded import draw_with_words


class PopularStyle(Method):
    """The average user's style words appended to every prompt: wins scorers that know the average and no single user.

    Args:
        words: phrases that are appended at most.
    """

    card = MethodCard(
        name="popular-style",
        version="1",
        summary="the style words that most train users like, for every user",
        uses_liked=False,
        uses_disliked=False,
        training="once",
        trained_on=("picturebook:train",),
        control=True,
        attack="the crowd's taste for every user",
    )

    def __init__(self, *, words: int = 3) -> None:
        if words < 1:
            raise PrefbenchError(f"words must be at least 1, got {words}")
        self.words = words

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a suite that has no words for what its train users like."""
        super().setup(context)
        train_users = context.train_users() if context.train_users is not None else ()
        self.phrases = popular_phrases(train_users, self.words)
        if not self.phrases:
            raise PrefbenchError(f"{self.card.name} needs a suite with words for tastes, such as picturebook")

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the phrases, which depend on the train users."""
        return hashlib.sha256(", ".join(self.phrases).encode()).hexdigest()

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return draw_with_words(self.context.backbone, requests, [", ".join(self.phrases)] * len(requests))

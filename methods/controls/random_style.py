"""`random-style`: random style words in the prompt. Diversity that is independent of the user."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Drawing, MethodCard, Request

from ..shared.worded import TruthControl, draw_with_words


class RandomStyle(TruthControl):
    """Each sample gets words of its own, drawn from its seed."""

    card = MethodCard(
        name="random-style",
        version="1",
        summary="random style words appended to the prompt",
        uses_liked=False,
        uses_disliked=False,
        control=True,
    )

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        words = [self._truth.random_words(request.prompt, request.seed) for request in requests]
        return draw_with_words(self.context.backbone, requests, words)

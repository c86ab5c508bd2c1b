"""`truth`: the user's true taste in words, added to the prompt. The upper bound of prompt rewriting."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Drawing, MethodCard, Request

from ..shared.worded import TruthControl, draw_with_words


class TrueWords(TruthControl):
    """Words express the worded and the semantic axes, and none of the silent ones."""

    card = MethodCard(
        name="truth",
        version="1",
        summary="the true taste written into the prompt, as far as there are words for it",
        uses_liked=False,
        uses_disliked=False,
        control=True,
    )

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        words = [self._truth.words(request.case.user, request.prompt) for request in requests]
        return draw_with_words(self.context.backbone, requests, words)

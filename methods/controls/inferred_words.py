"""`inferred-words`: the taste that the history reveals, in words, added to the prompt.

It knows what `inferred` knows and draws as honest methods do. What it lacks to `inferred` is what words and the
backbone cannot carry, and what `truth` has beyond it is what the history does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Drawing, History, MethodCard, Profile, Request

from ..shared.worded import TruthControl, draw_with_words


class InferredWords(TruthControl):
    """Words express the worded and the semantic axes, and none of the silent ones."""

    card = MethodCard(
        name="inferred-words",
        version="1",
        summary="the taste inferred from the history under the true choice model, written into the prompt",
        control=True,
    )

    def profile(self, history: History) -> Profile:
        return Profile(history.user, self._truth.inferred(history))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        words = [self._truth.inferred_words(request.profile.payload, request.prompt) for request in requests]
        return draw_with_words(self.context.backbone, requests, words)

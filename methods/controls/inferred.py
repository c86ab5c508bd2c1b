"""`inferred`: the best image for what the history reveals under the world's true choice model.

It sees what an honest method sees and also knows the rule by which users choose, which no honest method knows: the best
that any method can expect to draw from the same history.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Drawing, History, MethodCard, Profile, Request

from ..shared.worded import TruthControl


class Inferred(TruthControl):
    """Rendered by the world from the inferred taste, through the backbone's autoencoder."""

    card = MethodCard(
        name="inferred",
        version="1",
        summary="the best image for the taste inferred from the history under the true choice model",
        control=True,
    )

    def profile(self, history: History) -> Profile:
        return Profile(history.user, self._truth.inferred(history))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        images = [self._truth.render_inferred(r.profile.payload, r.prompt, r.seed) for r in requests]
        return [
            Drawing(self.context.backbone.roundtrip(image), request.prompt)
            for image, request in zip(images, requests, strict=True)
        ]

"""`ideal`: the best image there is for the user, through the backbone's autoencoder. An upper bound."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Drawing, MethodCard, Request

from ..shared.worded import TruthControl


class Ideal(TruthControl):
    """Rendered by the world from the true taste."""

    card = MethodCard(
        name="ideal",
        version="1",
        summary="the user's best image, rendered by the world, through the backbone's autoencoder",
        uses_liked=False,
        uses_disliked=False,
        control=True,
    )

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        images = [self._truth.ideal(r.case.user, r.prompt, r.seed) for r in requests]
        return [
            Drawing(self.context.backbone.roundtrip(image), request.prompt)
            for image, request in zip(images, requests, strict=True)
        ]

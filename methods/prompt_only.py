"""`prompt-only`: draws the prompt and ignores the user. What every other method is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Drawing, Method, MethodCard, Request


class PromptOnly(Method):
    """The backbone as it is."""

    card = MethodCard(
        name="prompt-only",
        version="1",
        summary="the prompt alone, no personalisation",
        uses_liked=False,
        uses_disliked=False,
    )

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        prompts = [request.prompt for request in requests]
        images = backbone.generate(prompts, [request.seed for request in requests])
        return [Drawing(image, prompt, backbone.nfe) for image, prompt in zip(images, prompts, strict=True)]

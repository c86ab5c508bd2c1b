"""What methods share that speak to the backbone in words, and controls that need the suite's truth."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Backbone, Context, MethodCard, PrefbenchError, Truth
from prefbench.records import Drawing, Request


def needed_truth(context: Context, card: MethodCard) -> Truth:
    """The suite's truth. Raises `PrefbenchError` for a suite that knows none."""
    if context.truth is None:
        raise PrefbenchError(f"{card.name} needs a suite whose truth is known, such as picturebook")
    return context.truth


def draw_with_words(backbone: Backbone, requests: Sequence[Request], words: Sequence[str]) -> list[Drawing]:
    """Draws each request's prompt with its words appended; no words leave the prompt as it is."""
    prompts = [f"{r.prompt}, {extra}" if extra else r.prompt for r, extra in zip(requests, words, strict=True)]
    images = backbone.generate(prompts, [request.seed for request in requests])
    return [Drawing(image, prompt, backbone.evaluations) for image, prompt in zip(images, prompts, strict=True)]

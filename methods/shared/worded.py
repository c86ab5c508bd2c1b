"""Base classes of methods that rewrite the prompt, and of controls that need the suite's truth."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Backbone, Context, Drawing, Method, PrefbenchError, Request


class TruthControl(Method):
    """A control that asks the suite's truth; refuses suites that know none."""

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a suite whose truth is not known."""
        super().setup(context)
        if context.truth is None:
            raise PrefbenchError(f"{self.card.name} needs a suite whose truth is known, such as picturebook")
        self._truth = context.truth


def draw_with_words(backbone: Backbone, requests: Sequence[Request], words: Sequence[str]) -> list[Drawing]:
    """Draws each request's prompt with its words appended; no words leave the prompt as it is."""
    prompts = [f"{r.prompt}, {extra}" if extra else r.prompt for r, extra in zip(requests, words, strict=True)]
    images = backbone.generate(prompts, [request.seed for request in requests])
    return [Drawing(image, prompt, backbone.nfe) for image, prompt in zip(images, prompts, strict=True)]

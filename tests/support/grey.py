"""A method that draws noise and knows nobody."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from prefbench.api import Drawing, Method, MethodCard, Request


class Grey(Method):
    """Noise around grey for everybody."""

    card = MethodCard(name="grey", version="1", summary="noise", backbone_kind=None)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [Drawing(self.noise(request.seed, 100), request.prompt) for request in requests]

    @staticmethod
    def noise(seed: int, level: int) -> Image.Image:
        pixels = level + np.random.default_rng(seed).integers(0, 50, (32, 32, 3))
        return Image.fromarray(pixels.astype(np.uint8))

"""A method of one's own, outside the package: tints what is drawn towards the colours of what the user liked.

prefbench check method examples/liked_colors.py:LikedColors
prefbench run --method examples/liked_colors.py:LikedColors -p strength=0.5
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from prefbench.api import Drawing, Features, History, Judgment, Method, MethodCard, Profile, Request, to_pixels

_GRAY = np.full(3, 127.5)


class LikedColors(Method):
    """Adds the difference between the mean colours of liked and disliked pictures to every drawing.

    Args:
        strength: share of that difference; 0 is the backbone alone. A missing side counts as middle gray.
    """

    card = MethodCard(
        name="liked-colors",
        version="1",
        summary="the prompt's drawing, tinted towards the liked pictures' mean colour and off the disliked ones'",
    )

    def __init__(self, *, strength: float = 0.5) -> None:
        self._strength = strength

    def profile(self, history: History) -> Profile:
        """The tint (3,) in levels of red, green and blue."""
        return Profile(history.user, _mean_color(history.liked) - _mean_color(history.disliked))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        images = backbone.generate([r.prompt for r in requests], [r.seed for r in requests])
        return [
            Drawing(self._tinted(image, request.profile.payload), request.prompt, backbone.nfe)
            for image, request in zip(images, requests, strict=True)
        ]

    def _tinted(self, image: Image.Image, tint: Features) -> Image.Image:
        shifted = to_pixels(image) + self._strength * tint
        return Image.fromarray(np.clip(np.rint(shifted), 0, 255).astype(np.uint8))


def _mean_color(judgments: Sequence[Judgment]) -> Features:
    colors = [to_pixels(judgment.picture.load()).mean(axis=(0, 1)) for judgment in judgments]
    return np.mean(colors, axis=0) if colors else _GRAY

"""`mean-of-likes`: returns the pixel mean of all liked images: close to each of them, without content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import MethodCard, Picture, to_pixels

from .liked_image import LikedImageAttack


class MeanOfLikes(LikedImageAttack):
    """The mean of all liked images, pixel by pixel: close to each of them, without content."""

    card = MethodCard(
        name="mean-of-likes",
        version="1",
        summary="returns the pixel mean of the user's liked images",
        uses_disliked=False,
        backbone_kind=None,
        control=True,
        attack="the pixel mean of the likes",
    )

    def payload(self, liked: Sequence[Picture]) -> NDArray[np.uint8]:
        """The mean, uint8 (H, W, 3)."""
        stack = [to_pixels(self.one_of(liked, index)).astype(np.float64) for index in range(len(liked))]
        mean: NDArray[np.uint8] = np.round(np.stack(stack).mean(axis=0)).astype(np.uint8)
        return mean

    def alter(self, payload: NDArray[np.uint8], seed: int) -> Image.Image:  # noqa: ARG002
        return Image.fromarray(payload)

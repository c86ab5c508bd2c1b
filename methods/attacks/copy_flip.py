"""`copy-flip`: returns a liked image mirrored. Comparing thumbnails misses such copies."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageOps

from prefbench.api import MethodCard, Picture

from .liked_image import LikedImageAttack


class CopyFlip(LikedImageAttack):
    """A liked image mirrored left to right."""

    card = MethodCard(
        name="copy-flip",
        version="1",
        summary="returns one of the user's liked images, mirrored",
        uses_disliked=False,
        backbone_kind=None,
        control=True,
        attack="a liked image, mirrored",
    )

    def alter(self, payload: Sequence[Picture], seed: int) -> Image.Image:
        return ImageOps.mirror(self.one_of(payload, seed))

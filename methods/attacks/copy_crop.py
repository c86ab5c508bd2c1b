"""`copy-crop`: returns a liked image without its margin. Exact digests miss such copies."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from prefbench.api import MethodCard, Picture, PrefbenchError

from .liked_image import LikedImageAttack


class CopyCrop(LikedImageAttack):
    """A liked image without its margin, at the full size again: other pixels everywhere, the same picture.

    Args:
        margin: share of the width and height that is cut off on each side.
    """

    card = MethodCard(
        name="copy-crop",
        version="1",
        summary="returns one of the user's liked images, cropped",
        uses_disliked=False,
        backbone_kind=None,
        control=True,
        attack="a liked image, slightly cropped",
    )

    def __init__(self, *, margin: float = 0.05) -> None:
        if not 0 < margin < 0.5:
            raise PrefbenchError(f"margin must be over 0 and under 0.5, got {margin}")
        self.margin = margin

    def alter(self, payload: Sequence[Picture], seed: int) -> Image.Image:
        low, high = self.margin * self.side, (1 - self.margin) * self.side
        box = (low, low, high, high)
        return self.one_of(payload, seed).resize((self.side, self.side), Image.Resampling.BICUBIC, box=box)

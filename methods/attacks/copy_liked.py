"""`copy`: returns an image that the user liked. Wins similarity to likes, ignores the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from prefbench.api import MethodCard, Picture

from .liked_image import LikedImageAttack


class CopyLiked(LikedImageAttack):
    """A liked image chosen by the sample's seed, at the backbone's resolution."""

    card = MethodCard(
        name="copy",
        version="1",
        summary="returns one of the user's liked images",
        uses_disliked=False,
        backbone_kind=None,
        control=True,
        attack="a liked image as it is",
    )

    def alter(self, payload: Sequence[Picture], seed: int) -> Image.Image:
        return self.one_of(payload, seed)

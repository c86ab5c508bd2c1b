"""`style-clone`: returns the pieces of a liked image in another order: its style without its content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from prefbench.api import MethodCard, Picture, to_pixels

from .liked_image import LikedImageAttack

_TILES = 4
"""Pieces along each side of an image."""


class StyleClone(LikedImageAttack):
    """A liked image cut into 4x4 pieces in random order: keeps colours and textures, but no object and no prompt."""

    card = MethodCard(
        name="style-clone",
        version="1",
        summary="returns the pieces of one of the user's liked images in another order",
        uses_disliked=False,
        backbone_kind=None,
        control=True,
        attack="the style of a liked image without what it shows",
    )

    def alter(self, payload: Sequence[Picture], seed: int) -> Image.Image:
        image = self.one_of(payload, seed)
        piece = max(1, self.side // _TILES)
        even = to_pixels(image.resize((_TILES * piece, _TILES * piece)))
        pieces = even.reshape(_TILES, piece, _TILES, piece, 3).swapaxes(1, 2).reshape(-1, piece, piece, 3)
        shuffled = pieces[np.random.default_rng(seed).permutation(len(pieces))]
        whole = shuffled.reshape(_TILES, _TILES, piece, piece, 3).swapaxes(1, 2).reshape(even.shape)
        return Image.fromarray(whole).resize((self.side, self.side))

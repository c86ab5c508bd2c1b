"""Attacks by liked images that were altered: what exact digests miss, what thumbnails miss, style without content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from prefbench.api import MethodCard, Picture, PrefbenchError, to_pixels

from .copy_liked import LikedAgain

_TILES = 4
"""A side of an image that is cut into pieces."""


class CopyCrop(LikedAgain):
    """A liked image without its margin, at the full size again: other pixels everywhere, the same picture.

    Args:
        margin: share of the width and height that is cut off on each side.
    """

    card = MethodCard(
        name="copy-crop",
        version="1",
        summary="returns one of the user's liked images, cropped",
        uses_disliked=False,
        control=True,
        attack="a liked image, slightly cropped",
    )

    def __init__(self, *, margin: float = 0.05) -> None:
        if not 0 < margin < 0.5:
            raise PrefbenchError(f"margin must be over 0 and under 0.5, got {margin}")
        self.margin = margin

    def made(self, kept: Sequence[Picture], seed: int) -> Image.Image:
        low, high = self.margin * self.side, (1 - self.margin) * self.side
        box = (low, low, high, high)
        return self.one_of(kept, seed).resize((self.side, self.side), Image.Resampling.BICUBIC, box=box)


class CopyFlip(LikedAgain):
    """A liked image mirrored left to right."""

    card = MethodCard(
        name="copy-flip",
        version="1",
        summary="returns one of the user's liked images, mirrored",
        uses_disliked=False,
        control=True,
        attack="a liked image, mirrored",
    )

    def made(self, kept: Sequence[Picture], seed: int) -> Image.Image:
        return ImageOps.mirror(self.one_of(kept, seed))


class MeanOfLikes(LikedAgain):
    """The mean of all liked images, pixel by pixel: near to each of them, a picture of nothing."""

    card = MethodCard(
        name="mean-of-likes",
        version="1",
        summary="returns the pixel mean of the user's liked images",
        uses_disliked=False,
        control=True,
        attack="the pixel mean of the likes",
    )

    def keep(self, liked: Sequence[Picture]) -> NDArray[np.uint8]:
        """The mean, uint8 (H, W, 3)."""
        stack = [to_pixels(self.one_of(liked, place)).astype(np.float64) for place in range(len(liked))]
        mean: NDArray[np.uint8] = np.round(np.stack(stack).mean(axis=0)).astype(np.uint8)
        return mean

    def made(self, kept: NDArray[np.uint8], seed: int) -> Image.Image:  # noqa: ARG002
        return Image.fromarray(kept)


class StyleClone(LikedAgain):
    """A liked image cut into 4x4 pieces that change places: its colours and textures, no object, no prompt."""

    card = MethodCard(
        name="style-clone",
        version="1",
        summary="returns the pieces of one of the user's liked images in another order",
        uses_disliked=False,
        control=True,
        attack="the style of a liked image without what it shows",
    )

    def made(self, kept: Sequence[Picture], seed: int) -> Image.Image:
        image = self.one_of(kept, seed)
        piece = max(1, self.side // _TILES)
        even = to_pixels(image.resize((_TILES * piece, _TILES * piece)))
        pieces = even.reshape(_TILES, piece, _TILES, piece, 3).swapaxes(1, 2).reshape(-1, piece, piece, 3)
        shuffled = pieces[np.random.default_rng(seed).permutation(len(pieces))]
        whole = shuffled.reshape(_TILES, _TILES, piece, piece, 3).swapaxes(1, 2).reshape(even.shape)
        return Image.fromarray(whole).resize((self.side, self.side))

"""`style-statistics`: what a picture looks like whatever it shows, from statistics of colour and texture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from prefbench.api import ExtractorCard, Features, Pixels, PrefbenchError, counted
from prefbench.models.extractors.common import checked_picture

_SIDES = (128, 64, 32)
_PAIRS_OF_COLOURS = np.triu_indices(3)
_PAIRS_OF_TEXTURES = np.triu_indices(12)


class StyleStatistics:
    """A descriptor (243,) of style without weights, of pictures of any size.

    - 3 means of red, green and blue, and their 6 covariances, over all pixels;
    - at 3 scales (sides of 128, 64 and 32 pixels, reduced with antialiasing, so that the scales are shares of the
      picture and not pixels) 78 entries of the Gram matrix of 12 textures: sizes of differences in 4 directions, of
      brightness, red against green, and blue against yellow. A Gram matrix forgets where things are and keeps which
      go together (Gatys et al. 2016, equation 3; here without a network).

    All entries are in levels from 0 to 1 (second moments as their roots with their sign), but of different spread, and
    contrast moves most of them together: standardise and decorrelate them over a set of pictures before comparing
    directions. Content that has a colour or a texture of its own shows in it too.
    """

    card = ExtractorCard("style-statistics", "statistics of colour and texture, without weights, 243 numbers")
    id = f"style-statistics[rgb-moments,gram-12-textures,pil-bicubic-{'+'.join(map(str, _SIDES))},roots]@1"

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, 243). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return np.stack([_describe(picture) for picture in pictures]) if len(pictures) else np.empty((0, 0))

    def texts(self, texts: Sequence[str]) -> Features:
        """Raises `PrefbenchError`: there is no text tower."""
        raise PrefbenchError(f"extractor 'style-statistics' has no text tower; {counted(len(texts), 'text')} given")


def _describe(picture: Pixels) -> Features:
    levels = checked_picture(picture).reshape(-1, 3) / 255
    centred = levels - levels.mean(axis=0)
    spread = (centred.T @ centred / len(levels))[_PAIRS_OF_COLOURS]
    image = Image.fromarray(picture)
    scales = [image.resize((side, side), Image.Resampling.BICUBIC) for side in _SIDES]
    return np.concatenate([levels.mean(axis=0), _root(spread), *(_textures(np.asarray(scale)) for scale in scales)])


def _textures(picture: Pixels) -> Features:
    """The Gram matrix of textures, its upper half (78,)."""
    red, green, blue = np.moveaxis(picture / 255, -1, 0)
    opponents = np.stack([(red + green + blue) / 3, red - green, blue - (red + green) / 2])
    down, right = opponents[:, 1:, :-1] - opponents[:, :-1, :-1], opponents[:, :-1, 1:] - opponents[:, :-1, :-1]
    diagonals = (right + down) / np.sqrt(2), (right - down) / np.sqrt(2)
    textures = np.abs(np.concatenate([right, down, *diagonals])).reshape(12, -1)
    return _root((textures @ textures.T / textures.shape[1])[_PAIRS_OF_TEXTURES])


def _root(moments: Features) -> Features:
    rooted: Features = np.sign(moments) * np.sqrt(np.abs(moments))
    return rooted

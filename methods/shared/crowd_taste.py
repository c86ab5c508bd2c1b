"""What a crowd likes about pictures, whatever they show: brightness, colour, contrast, sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image

from prefbench.api import Features, FloatArray, Judgment, Pixels, TrainUser, to_pixels

_SIDE = 32
"""Pictures are compared at one size, so that none is sharper for being larger."""
_JUDGMENTS = 16
"""Judgments of a side that are read of each person: the latest."""
_LEAST_SPREAD = 1e-6
_REACH = 3.0
"""Spreads from the mean beyond which looks count alike: what nobody judged says nothing of anybody's taste."""


@dataclass(frozen=True)
class Looks:
    """The looks of what one person likes and dislikes, (pictures, 10) each."""

    liked: Features
    disliked: Features

    @classmethod
    def of(cls, person: TrainUser) -> Looks:
        return cls(*(_looks_of(side[-_JUDGMENTS:]) for side in (person.history.liked, person.history.disliked)))


@dataclass(frozen=True)
class CrowdTaste:
    """Where the looks that people like and dislike have their centres, every person counting equally."""

    mean: FloatArray
    spread: FloatArray
    liked: FloatArray
    """(10,) the centre of what is liked, in units of `spread` from `mean`."""
    disliked: FloatArray | None
    """None where nobody dislikes anything."""

    @classmethod
    def of(cls, people: Sequence[Looks]) -> CrowdTaste | None:
        """None where nobody likes anything."""
        every = [side for one in people for side in (one.liked, one.disliked) if len(side)]
        likes, dislikes = (
            [side.mean(axis=0) for side in sides if len(side)]
            for sides in ([one.liked for one in people], [one.disliked for one in people])
        )
        if not likes:
            return None
        looks = np.concatenate(every)
        mean, spread = looks.mean(axis=0), np.maximum(looks.std(axis=0), _LEAST_SPREAD)
        centres = [(np.mean(side, axis=0) - mean) / spread if side else None for side in (likes, dislikes)]
        assert centres[0] is not None
        return cls(mean, spread, centres[0], centres[1])

    def liking(self, pictures: Sequence[Pixels]) -> FloatArray:
        """How much nearer each picture is to what is liked than to what is disliked (N,); where nothing is disliked,
        how near to what is liked. Higher is better.
        """
        looks = np.stack([looks_of(picture) for picture in pictures])
        looks = ((looks - self.mean) / self.spread).clip(-_REACH, _REACH)
        liked = ((looks - self.liked) ** 2).sum(axis=1)
        return np.asarray(-liked if self.disliked is None else ((looks - self.disliked) ** 2).sum(axis=1) - liked)


def looks_of(picture: Pixels) -> Features:
    """Ten numbers of a picture, reduced to 32 by 32 pixels: mean and standard deviation of brightness, of red against
    green, of blue against yellow and of saturation, the mean step of brightness between neighbours, and the standard
    deviation of its means over eight by eight pixels.
    """
    small = Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    levels = np.asarray(small, dtype=np.float64) / 255
    red, green, blue = np.moveaxis(levels, -1, 0)
    light = levels.mean(axis=2)
    channels = [light, red - green, blue - (red + green) / 2, levels.max(axis=2) - levels.min(axis=2)]
    steps = chain.from_iterable(np.abs(np.diff(light, axis=axis)).ravel() for axis in (0, 1))
    blocks = light.reshape(4, 8, 4, 8).mean(axis=(1, 3))
    moments = [moment for channel in channels for moment in (channel.mean(), channel.std())]
    return np.array([*moments, np.mean(list(steps)), blocks.std()])


def _looks_of(judgments: Sequence[Judgment]) -> Features:
    return np.array([looks_of(to_pixels(judgment.picture.load())) for judgment in judgments]).reshape(-1, 10)

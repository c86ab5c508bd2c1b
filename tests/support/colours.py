"""A suite whose users like some colours and dislike others, and an extractor that sees nothing but the colour."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

from prefbench.api import (
    Case,
    Features,
    History,
    Judgment,
    Picture,
    Pixels,
    Reference,
    Split,
    Suite,
    SuiteCard,
    User,
    Viewer,
)

COUNTS: dict[str, int] = {"train": 2, "scorer": 60, "val": 15, "test": 24}
EACH = {"method": 6, "scorer": 9}
"""Judgments per side for each viewer."""
SHAPES = ("a square", "a stripe")


class MeanColour:
    """Features (N, 4): the mean of each channel, and how much the two halves differ: the shape."""

    id = "mean-colour@1"

    def images(self, pictures: Sequence[Pixels]) -> Features:
        rows = [[*p.mean((0, 1)), abs(p[:, :2].mean() - p[:, 2:].mean())] for p in pictures]
        return np.array(rows, dtype=np.float64) / 100

    def texts(self, texts: Sequence[str]) -> Features:
        raise NotImplementedError(texts)


def drawn(colour: Features, shape: str) -> Picture:
    """A field of 4 x 4 pixels in one colour; a stripe leaves its right half black."""
    pixels = np.tile(colour.clip(0, 255).astype(np.uint8), (4, 4, 1))
    if shape == "a stripe":
        pixels[:, 2:] = 0
        pixels[:, :2] = (2.0 * pixels[:, :2]).clip(0, 255).astype(np.uint8)
    return Picture.of(Image.fromarray(pixels))


@cache
def judged(user: str, viewer: Viewer) -> History:
    """Pairs of one shape, of which the user likes the one nearer to their taste, a direction among colours."""
    taste = np.random.default_rng([*user.encode()]).standard_normal(3)
    rng = np.random.default_rng([*user.encode(), *viewer.encode()])
    liked, disliked = list[Judgment](), list[Judgment]()
    for i in range(EACH[viewer]):
        shape = SHAPES[int(rng.integers(2))]
        colours = rng.uniform(20, 120, (2, 3))
        order = np.argsort(colours @ taste)
        for side, row in ((disliked, order[0]), (liked, order[1])):
            side.append(Judgment(drawn(colours[row], shape), shape, side is liked, pair=f"{user}/{viewer}/{i}"))
    return History(user, tuple(liked), tuple(disliked))


class ColourSuite(Suite):
    """`--suite tests/colours.py:ColourSuite`."""

    card = SuiteCard("colours", "1", "", "", "none", ("preference",), {"preference": f"{__file__}:MeanColour"})
    digest = "colours"

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"{split}-{i}", split) for i in range(COUNTS.get(split, 0))]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        return judged(user, viewer)

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}/0", user, "a square")]

    def references(self, split: Split) -> Sequence[Reference]:
        return [
            Reference(user.id, "a square", judged(user.id, "scorer").liked[0].picture) for user in self.users(split)
        ]

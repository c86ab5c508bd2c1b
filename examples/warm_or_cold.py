"""A suite of one's own: half of the users like warm colours, half like cold ones.

prefbench check suite examples/warm_or_cold.py:WarmOrCold
prefbench run --method prompt-only --suite examples/warm_or_cold.py:WarmOrCold
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from prefbench.api import Case, History, Judgment, Picture, Reference, Split, Suite, SuiteCard, User, Viewer

PROMPTS = ("a cat at sea", "a house in the forest")
"""To draw; no history holds them."""
SHAPES = ("a square", "a stripe", "a frame")
"""What judged pictures show."""
PAIRS = 4
"""Pairs of pictures that a user judges, in each of the two views."""
USERS = 6
"""Users per split."""


class WarmOrCold(Suite):
    """Users judge pairs of coloured shapes, one warm and one cold; methods and scorers see different pairs.

    Args:
        noise: the share of pairs in which users choose the colour that they like less.
    """

    card = SuiteCard(
        name="warm-or-cold",
        version="1",
        summary="users who like warm or cold colours, judged on coloured shapes",
        licence="Apache-2.0",
        backbone="mini-sd",
        metrics=("clip-score", "diversity"),
        extractors={"text": "mini-clip", "similarity": "mini-clip"},
    )

    def __init__(self, *, noise: float = 0.0) -> None:
        self._noise = noise

    @property
    def digest(self) -> str:
        users = [user for split in ("train", "scorer", "val", "test") for user in self.users(split)]
        views = [self.history(user.id, viewer).digest for user in users for viewer in ("method", "scorer")]
        return hashlib.sha256("\n".join([self.card.version, *PROMPTS, *views]).encode()).hexdigest()

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"{split}-{i}", split, "warm" if i % 2 else "cold") for i in range(USERS)]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        rng = np.random.default_rng([*f"{user} {viewer}".encode()])
        likes_warm = bool(int(user.rpartition("-")[2]) % 2)
        liked, disliked = list[Judgment](), list[Judgment]()
        for i in range(PAIRS):
            shape = SHAPES[int(rng.integers(len(SHAPES)))]
            chooses_warm = likes_warm != (rng.random() < self._noise)
            for warm in (True, False):
                is_liked = warm == chooses_warm
                picture = _picture(rng, shape, warm=warm)
                judgment = Judgment(picture, shape, is_liked, pair=f"{user}/{viewer}/{i}")
                (liked if is_liked else disliked).append(judgment)
        return History(user, tuple(liked), tuple(disliked))

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}/{i}", user, prompt) for i, prompt in enumerate(PROMPTS)]

    def references(self, split: Split) -> Sequence[Reference]:
        return [
            Reference(user.id, judgment.prompt, judgment.picture)
            for user in self.users(split)
            for judgment in self.history(user.id, "scorer").liked
        ]


def _picture(rng: np.random.Generator, shape: str, *, warm: bool) -> Picture:
    """A shape of 32 x 32 pixels on a noisy ground, red or blue in the main."""
    colour = rng.uniform(20, 110, 3)
    colour[0 if warm else 2] = rng.uniform(170, 250)
    pixels = rng.uniform(90, 165, (32, 32, 3))
    drawn = {"a square": (slice(8, 24), slice(8, 24)), "a stripe": (slice(12, 20), slice(0, 32))}
    if shape == "a frame":
        ground = pixels[6:26, 6:26].copy()
        pixels[2:30, 2:30] = colour
        pixels[6:26, 6:26] = ground
    else:
        pixels[drawn[shape]] = colour
    return Picture.of(Image.fromarray(pixels.astype(np.uint8)))

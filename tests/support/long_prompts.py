"""A suite of one's own whose prompts are longer than text encoders read, and methods whose drawings show little."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from prefbench.api import (
    Case,
    Drawing,
    History,
    Judgment,
    Method,
    MethodCard,
    Picture,
    Reference,
    Request,
    Split,
    Suite,
    SuiteCard,
    User,
    Viewer,
)

LONG = "a tree at sea, " + ", ".join(f"very detailed number {i}" for i in range(60))
PROMPTS = (LONG, f"{LONG}, in a snowy night", "a tree in a city")
"""The first two differ behind the last token that is read."""


class LongPrompts(Suite):
    """`--suite tests/support/long_prompts.py:LongPrompts`: two users a split, noisy pictures, prompts of `PROMPTS`."""

    roles = ("fidelity", "text", "similarity")
    card = SuiteCard("long", "1", "long prompts", "CC0", "mini-sd", ("clip-score",), dict.fromkeys(roles, "mini-clip"))
    digest = hashlib.sha256(b"long prompts").hexdigest()

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"{split}-{i}", split) for i in range(2)]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        sides = ([self.judgment(user, viewer, i, liked=liked) for i in range(3)] for liked in (True, False))
        return History(user, *map(tuple, sides))

    def judgment(self, user: str, viewer: str, i: int, *, liked: bool) -> Judgment:
        return Judgment(Picture.of(self.image(f"{user} {viewer} {i} {liked}")), f"seen by a {viewer} {i}", liked)

    def image(self, name: str) -> Image.Image:
        blocks = np.random.default_rng([*name.encode()]).integers(0, 256, (4, 4, 3)).astype(np.uint8)
        return Image.fromarray(blocks).resize((32, 32), Image.Resampling.BICUBIC)

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}/{i}", user, prompt) for i, prompt in enumerate(PROMPTS)]

    def references(self, split: Split) -> Sequence[Reference]:
        of_users = [(user.id, self.history(user.id, "scorer").liked) for user in self.users(split)]
        return [Reference(user, one.prompt, one.picture) for user, liked in of_users for one in liked]


class FlatPictures(LongPrompts):
    """Some of whose pictures are of one colour, and one picture of each user for all prompts."""

    def image(self, name: str) -> Image.Image:
        user, viewer, number, liked = name.split()
        if number == "0":
            return Image.new("RGB", (32, 32), tuple(hashlib.sha256(name.encode()).digest()[:3]))
        return super().image(f"{user} {viewer} 1 {liked}")


class Black(Method):
    """Draws nothing, as half precision without a fixed autoencoder and safety filters do."""

    card = MethodCard(name="black", version="1", summary="black pictures", uses_liked=False, uses_disliked=False)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        side = self.context.backbone.card.resolution
        return [Drawing(Image.new("RGB", (side, side), self.of(request)), request.prompt) for request in requests]

    def of(self, request: Request) -> tuple[int, int, int]:  # noqa: ARG002
        return (0, 0, 0)


class Colours(Black):
    """A colour for each seed."""

    card = MethodCard(name="colours", version="1", summary="one colour", uses_liked=False, uses_disliked=False)

    def of(self, request: Request) -> tuple[int, int, int]:
        return (request.seed % 251, request.seed % 241, request.seed % 239)


class Collapsed(Method):
    """One picture of noise for every prompt and seed."""

    card = MethodCard(name="collapsed", version="1", summary="one picture", uses_liked=False, uses_disliked=False)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        side = self.context.backbone.card.resolution
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
        return [Drawing(Image.fromarray(noise), request.prompt) for request in requests]


class Control(Collapsed):
    """The same, and says that it is no honest method."""

    card = replace(Collapsed.card, name="control", control=True)


class Appended(Method):
    """Words of style behind the prompt."""

    card = MethodCard(name="appended", version="1", summary="words", uses_liked=False, uses_disliked=False)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        prompts = [f"{request.prompt}, neon colors, dotted background" for request in requests]
        images = self.context.backbone.generate(prompts, [request.seed for request in requests])
        return [Drawing(image, prompt) for image, prompt in zip(images, prompts, strict=True)]

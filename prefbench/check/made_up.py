"""The made-up world that plug-ins are checked on: a truth, users with histories of noise, and features. No weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

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

PROMPTS = ("a cat at sea", "a house at night", "a boat on a hill")
PER_SIDE = 3
"""Likes, and as many dislikes, of a user."""


class MadeUpTruth:
    """Smooth functions of user, prompt and pixels in place of a truth: utilities up to 1, fidelities from 0 to 1."""

    groups: Sequence[str] = ("first", "second")
    id = "made up"

    def utility(
        self,
        user: str,
        prompts: Sequence[str],  # noqa: ARG002
        pictures: Sequence[Pixels],
    ) -> Mapping[str, Features]:
        return {name: 1 - 2 * _fractions(user, name, pictures) for name in ("total", *self.groups)}

    def fidelity(self, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:
        pairs = list(zip(prompts, pictures, strict=True))
        return {
            name: np.array([_fractions(prompt, name, [picture])[0] for prompt, picture in pairs])
            for name in ("total", *self.groups)
        }

    def ideal(self, user: str, prompt: str, seed: int) -> Image.Image:  # noqa: ARG002
        return Image.new("RGB", (32, 32))

    def graded(self, *asked: object, **options: object) -> Image.Image:  # noqa: ARG002
        return Image.new("RGB", (32, 32))

    def inferred(self, history: History) -> None:  # noqa: ARG002
        return None

    def render_inferred(self, inferred: Any, prompt: str, seed: int) -> Image.Image:  # noqa: ARG002
        return Image.new("RGB", (32, 32))

    def inferred_words(self, inferred: Any, prompt: str) -> str:  # noqa: ARG002
        return "forest colors"

    def words(self, user: str, prompt: str) -> str:  # noqa: ARG002
        return "ocean colors"

    def random_words(self, prompt: str, seed: int) -> str:  # noqa: ARG002
        return "plain background"


def _fractions(text: str, part: str, pictures: Sequence[Pixels]) -> Features:
    level = zlib.crc32(f"{text}/{part}".encode()) % 256
    return np.array([abs(picture.mean() - level) / 255 for picture in pictures])


def noise_picture(name: str) -> Picture:
    """Noise of 32x32 pixels that follows from the name alone."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return Picture.of(Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)))


def made_up_history(user: str, viewer: Viewer = "method") -> History:
    """Three likes and three dislikes, of noise; each viewer sees others."""
    judgments = [
        Judgment(noise_picture(f"{viewer}/{user}/{i}"), PROMPTS[i % len(PROMPTS)], liked=i < PER_SIDE)
        for i in range(2 * PER_SIDE)
    ]
    return History(user, tuple(judgments[:PER_SIDE]), tuple(judgments[PER_SIDE:]))


def made_up_features(pictures: Sequence[Picture], width: int = 16) -> Features:
    """A vector of its own (N, width) for every picture."""
    return np.stack([np.random.default_rng(zlib.crc32(p.digest.encode())).standard_normal(width) for p in pictures])


class MadeUpSuite(Suite):
    """The suite that made-up runs are of: any user has a history of noise, and a case per prompt."""

    card = SuiteCard("made-up", "1", "users with histories of noise", "Apache-2.0", "made-up", (), {})
    digest = "d" * 64

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"{split}-{i:04d}", split) for i in range(6)]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        return made_up_history(user, viewer)

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}/{prompt}", user, prompt) for prompt in PROMPTS]

    def references(self, split: Split) -> Sequence[Reference]:
        liked = [(user.id, j) for user in self.users(split) for j in made_up_history(user.id, "scorer").liked]
        return [Reference(user, judgment.prompt, judgment.picture) for user, judgment in liked]

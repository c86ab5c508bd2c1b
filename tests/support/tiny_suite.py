"""A suite of a few users who like one colour and dislike another, in pictures of odd sizes; and a tiny image tower."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from prefbench.api import Case, History, Judgment, Picture, Reference, Split, Suite, SuiteCard, TrainUser, User, Viewer
from prefbench.models.mllms.cards import MllmCard

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}
PROMPTS = ("a fox in the snow", "two boats at night", "an old house by the sea", "a house", "a fox", "a boat")
SIZES = ((17, 23), (40, 9), (12, 12), (5, 31))
"""Width and height; none is what a model wants."""
COUNTS = {"train": (6, 7), "val": (20, 4), "test": (3, 3)}
"""Users of a split, and judgments per side of each."""
TOWER_WIDTH = 12


def picture(colour: str, seed: int) -> Picture:
    """A noisy field of one colour."""
    rng = np.random.default_rng([seed, *colour.encode()])
    width, height = SIZES[seed % len(SIZES)]
    pixels = np.array(COLOURS[colour]) + rng.integers(-30, 31, (height, width, 3))
    return Picture.of(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))


def judged(colour: str, seed: int, *, liked: bool) -> Judgment:
    return Judgment(picture(colour, seed), PROMPTS[seed % len(PROMPTS)], liked)


def colours_of(user: int) -> tuple[str, str]:
    """What a user likes and dislikes."""
    return ("red", "blue") if user % 2 else ("blue", "red")


def history(name: str, user: int, each: int) -> History:
    """Of a user who likes one colour; `each` judgments per side."""
    liked, disliked = colours_of(user)
    seeds = [997 * user + 10 * len(name) + i for i in range(each)]
    return History(
        name,
        tuple(judged(liked, seed, liked=True) for seed in seeds),
        tuple(judged(disliked, seed + 3, liked=False) for seed in seeds),
    )


def train_user(user: int, each: int = 7, *, words: bool = True) -> TrainUser:
    """All that a train user judged, with or without words for it."""
    told = history(f"train-{user}", user, each)
    if not words:
        return TrainUser(told)
    liked, disliked = colours_of(user)
    shows: dict[str, tuple[str, ...]] = {j.picture.digest: (liked, "noisy") for j in told.liked}
    shows |= {j.picture.digest: (disliked,) for j in told.disliked}
    return TrainUser(told, (liked, "bright"), (disliked, "dark"), shows)


class TinySuite(Suite):
    """The suite of this file: `--suite tests/tiny_suite.py:TinySuite`."""

    card = SuiteCard("tiny", "1", "Users who like a colour.", "Apache-2.0", "mini-sd", (), {})

    @property
    def digest(self) -> str:
        return "tiny"

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"{split}-{i}", split) for i in range(COUNTS.get(split, (0, 0))[0])]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        split, _, number = user.partition("-")
        return history(user, int(number) + 50 * (viewer == "scorer"), COUNTS[split][1])

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}-case", user, PROMPTS[0])]

    def references(self, split: Split) -> Sequence[Reference]:
        return [Reference(user.id, PROMPTS[0], picture("red", i)) for i, user in enumerate(self.users(split))]

    def train_users(self) -> Sequence[TrainUser]:
        return [train_user(i, COUNTS["train"][1]) for i in range(COUNTS["train"][0])]


class WordlessSuite(TinySuite):
    """The same users, of whom nobody knows a word; one of them judged too little to learn from."""

    def train_users(self) -> Sequence[TrainUser]:
        return [*(train_user(i, words=False) for i in range(3)), train_user(3, 2, words=False)]


class EmptySuite(TinySuite):
    """Nobody to learn from."""

    def train_users(self) -> Sequence[TrainUser]:
        return []


class DamagedSuite(TinySuite):
    """One picture of one user cannot be decoded while `$TINY_DAMAGED` is set."""

    def train_users(self) -> Sequence[TrainUser]:
        first, *others = super().train_users()
        if "TINY_DAMAGED" not in os.environ:
            return [first, *others]
        bad = Judgment(Picture("0" * 64, data=b"not an image"), PROMPTS[0], True)
        spoilt = History(first.history.user, (bad, *first.history.liked[1:]), first.history.disliked)
        return [TrainUser(spoilt, first.likes, first.dislikes, first.shows), *others]


UNTRAINED = MllmCard(
    name="tiny-untrained",
    source="",
    revision=None,
    dtype="float32",
    licence="Apache-2.0",
    context=1024,
    tuning="full",
    untrained="tests.support.tiny_suite:build",
)
"""A language model that training starts from nothing, as it does the miniature."""


def build(texts: Sequence[str], folder: Path) -> tuple[Any, Any]:
    """What `UNTRAINED` names: a tiny Idefics2, kept in `folder`."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from tests.support.tiny_mllms import save_tiny_idefics2

    assert texts
    if not folder.exists():
        folder.mkdir(parents=True)
        save_tiny_idefics2(folder)
    return AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)


def save_tiny_tower(folder: Path) -> Path:
    """A CLIP image tower with its processor."""
    torch.manual_seed(2)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        projection_dim=TOWER_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        initializer_range=0.2,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    side = {"height": 16, "width": 16}
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=side).save_pretrained(folder)
    return folder

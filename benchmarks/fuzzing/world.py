"""A suite, a method and a metric so small that a run of them takes less than a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from prefbench.api import (
    Case,
    Context,
    Drawing,
    DrawnImages,
    Features,
    History,
    ImageMetric,
    Judgment,
    Method,
    MethodCard,
    MetricCard,
    Picture,
    ProbeItem,
    Profile,
    Reference,
    Request,
    Split,
    Suite,
    SuiteCard,
    User,
    Viewer,
)

PROMPTS = ("a fox in the snow", "two boats at night")


def noise(*seed: int) -> Image.Image:
    """A picture of 12 x 10 pixels, decided by its seed."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8))


def judgment(seed: int, *, liked: bool) -> Judgment:
    return Judgment(Picture.of(noise(seed, int(liked))), PROMPTS[seed % 2], liked)


class World(Suite):
    """Three users who like and dislike noise."""

    card = SuiteCard(
        "fuzz", "1", "Noise.", "Apache-2.0", "mini-sd", (),
        {"fidelity": "style-statistics", "similarity": "style-statistics"},
    )  # fmt: skip
    digest = "fuzz"

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"{split}-{i}", split, f"kind-{i % 2}") for i in range(3)] if split == "test" else []

    def history(self, user: str, viewer: Viewer = "method") -> History:
        first = 10 * int(user.rpartition("-")[2]) + 100 * (viewer == "scorer")
        liked, disliked = (tuple(judgment(first + i, liked=side) for i in range(3)) for side in (True, False))
        return History(user, liked, disliked)

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}/{i}", user, prompt) for i, prompt in enumerate(PROMPTS)]

    def references(self, split: Split) -> Sequence[Reference]:
        return [Reference(u.id, p, Picture.of(noise(7, i))) for i, u in enumerate(self.users(split)) for p in PROMPTS]


class Painter(Method):
    """Paints noise without the backbone, and knows of a user the mean of what they like."""

    card = MethodCard("painter", "1", "paints noise")

    def setup(self, context: Context) -> None:
        self.context = context

    def profile(self, history: History) -> Profile:
        return Profile(
            history.user, {"mean": float(np.mean([np.mean(np.asarray(j.picture.load())) for j in history.liked]))}
        )

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [Drawing(noise(request.seed % 2**31), request.prompt, 3) for request in requests]

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:  # noqa: ARG002
        return {"mean": np.array([float(np.mean(np.asarray(j.picture.load()))) for j in history.liked])}


class Redness(ImageMetric):
    """The share of red."""

    card = MetricCard(
        "redness", "1", "share of red", "side", "up", "image", "mean", bounds=(0.0, 1.0), asks_representations=True
    )

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        return {"redness": [float(sample.pixels[..., 0].mean() / 255) for sample in drawn.samples]}

"""The bench that methods are checked on: a tiny backbone, real histories, and pictures as people really upload them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from prefbench.api import (
    Backbone,
    BackboneCard,
    Case,
    Context,
    Drawing,
    History,
    Judgment,
    Method,
    Picture,
    Pixels,
    PrefbenchError,
    Profile,
    Request,
    StyleCard,
    Suite,
    image_digest,
    to_pixels,
)
from prefbench.check.findings import fail
from prefbench.models.backbones.loader import find_card, load_any
from prefbench.run.opaque import OpaqueNames
from prefbench.run.outputs import seen
from prefbench.run.plan import sample_seed
from prefbench.run.set_up import People, check_kind, of_kind, people_of

_STEPS = 2
"""Enough for prompts, seeds and profiles to show, even in the drawings of random weights."""
_USERS = 4


class WatchedContext(Context):
    """A context that notices when the suite's truth is asked for."""

    def __getattribute__(self, name: str) -> Any:
        if name == "truth":
            object.__setattr__(self, "reached", True)
        return super().__getattribute__(name)


@dataclass
class Bench:
    """Sets a method up and draws with it. `card` is the backbone's."""

    constructor: type[Method]
    parameters: dict[str, Any]
    suite: Suite
    card: BackboneCard
    device: str

    def __post_init__(self) -> None:
        self._contexts: list[WatchedContext] = []
        self._train_users = cache(self.suite.train_users)
        self.names = OpaqueNames()

    def fresh(self, names: OpaqueNames | None = None) -> Method:
        """A new method on a backbone of its own: setting up may change the pipeline. It knows users by `names`."""
        names = names or self.names
        backbone = cast("Backbone", load_any(self.card, device=self.device))
        method = self.constructor(**self.parameters)
        people = People(people_of(self.suite, "val", names)) if method.card.asks_people else None
        truth = names.truth(self.suite.truth) if method.card.control else None
        train_users = self._train_users if method.card.control else None
        context = WatchedContext(backbone, truth, train_users, people)
        self._contexts.append(context)
        method.setup(context)
        return method

    @property
    def reached_truth(self) -> bool:
        """Whether any method that was set up asked for the truth."""
        return any("reached" in vars(context) for context in self._contexts)

    @cached_property
    def histories(self) -> Sequence[History]:
        """Histories of four val users that have liked and disliked pictures, as a method sees them."""
        return self.shown(self.names)

    def shown(self, names: OpaqueNames) -> Sequence[History]:
        """These histories under other names."""
        return [names.history(history) for history in self._histories]

    @cached_property
    def _histories(self) -> Sequence[History]:
        histories: list[History] = []
        for user in self.suite.users("val"):
            history = self.suite.history(user.id)
            if history.liked and history.disliked:
                histories.append(history)
            if len(histories) == _USERS:
                return histories
        raise PrefbenchError(f"{self.suite.card.name} has no {_USERS} val users with likes and dislikes to check on")

    @cached_property
    def _contents(self) -> Sequence[Picture]:
        """What is redrawn in place of a case's own content: pictures that no method sees."""
        return [reference.picture for reference in self.suite.references("val")[:_USERS]]

    def requests(self, profiles: Sequence[Profile], names: OpaqueNames | None = None) -> list[Request]:
        """One request per profile; one user's profiles take that user's cases in turn, then further samples."""
        names, turns = names or self.names, dict[str, int]()
        profiles = [replace(profile, user=names.true(profile.user)) for profile in profiles]
        return [names.request(self._request(profile, turns)) for profile in profiles]

    def _request(self, profile: Profile, turns: dict[str, int]) -> Request:
        cases: Sequence[Case] = self.suite.cases(profile.user)
        turn = turns[profile.user] = turns.get(profile.user, -1) + 1
        case, index = cases[turn % len(cases)], turn // len(cases)
        if self.constructor.card.backbone_kind == "style-transfer":
            case = replace(case, content=self._contents[turn % len(self._contents)])
        seed = sample_seed(0, self.suite.card.name, profile.user, case.prompt, index)
        return Request(case, index, seed, profile)


def pixels_of(drawings: Sequence[Drawing]) -> list[Pixels]:
    """The drawn pictures as uint8 (H, W, 3)."""
    return [to_pixels(drawing.image) for drawing in drawings]


def drawn_by(method: Method, requests: Sequence[Request]) -> Sequence[Drawing]:
    """The drawings as `run` stores them. Fails with the line of the samples that `run` fails for their images."""
    drawings = method.generate(requests)
    if len(drawings) != len(requests) or not all(isinstance(drawing, Drawing) for drawing in drawings):
        fail(f"{len(requests)} requests gave {len(drawings)} of {short(drawings[:1])}, not one Drawing each")
    try:
        return [seen(method.card.name, drawing) for drawing in drawings]
    except PrefbenchError as error:
        fail(str(error))


def short(value: Any) -> str:
    """A value in 60 characters."""
    return repr(value)[:60]


def gap(first: Sequence[Pixels], second: Sequence[Pixels]) -> float:
    """The largest mean absolute difference of two drawings of a pair, in levels of 255; infinite for other shapes."""
    if [a.shape for a in first] != [b.shape for b in second]:
        return float("inf")
    differences = [np.abs(a.astype(float) - b.astype(float)).mean() for a, b in zip(first, second, strict=True)]
    return float(max(differences, default=0.0))


def odd_pictures() -> dict[str, Picture]:
    """Pictures as people upload them, and one whose file breaks off."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (24, 24, 4), dtype=np.uint8)
    odd = {
        "grayscale": Image.fromarray(noise[..., 0]),
        "1x1": Image.fromarray(noise[:1, :1, :3]),
        "very wide": Image.fromarray(np.tile(noise[:2, :, :3], (1, 60, 1))),
        "RGBA": Image.fromarray(noise),
    }
    whole = _encoded(Image.fromarray(noise[..., :3]))
    broken = whole[: len(whole) // 2]
    pictures = {name: Picture(image_digest(image), data=_encoded(image)) for name, image in odd.items()}
    return pictures | {"truncated": Picture(hashlib.sha256(broken).hexdigest(), data=broken)}


def _encoded(image: Image.Image) -> bytes:
    """PNG bytes in the image's own mode."""
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def with_picture(history: History, picture: Picture) -> History:
    """The history with one more picture, from outside the suite, on either side."""
    liked, disliked = (Judgment(picture, "a picture", side) for side in (True, False))
    return History(history.user, (liked, *history.liked), (disliked, *history.disliked))


@contextlib.contextmanager
def backbone_card(backbone: str | Path | None, suite: Suite, method: type[Method]) -> Iterator[BackboneCard]:
    """The card of a backbone with few steps; None for the suite's own with random weights, which are gone afterwards.

    Methods of style transfer are checked on the first registered backbone of their kind: it is small.

    Raises:
        PrefbenchError: an unknown backbone, one of another kind than the method's, or the suite has no untrained one.
    """
    if backbone is None and method.card.backbone_kind == "style-transfer":
        backbone = of_kind("style-transfer")[0]
    if backbone is not None:
        check_kind(method, backbone)
        card = find_card(backbone)
        yield card if isinstance(card, StyleCard) else replace(card, steps=_STEPS)
        return
    with tempfile.TemporaryDirectory(prefix="prefbench-") as folder:
        # transformers shows a progress bar for saving and has no switch for one call.
        with contextlib.redirect_stderr(io.StringIO()):
            suite.untrained_backbone().save_pretrained(folder, safe_serialization=True)
        yield replace(find_card(suite.card.backbone), source=folder, steps=_STEPS)

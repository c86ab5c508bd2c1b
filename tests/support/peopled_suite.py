"""A suite that can make other users, whose truth likes light; and a method that draws light for those it knows."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from prefbench.api import (
    Context,
    Drawing,
    Features,
    History,
    Pixels,
    Profile,
    Request,
    Split,
    TrainUser,
    Truth,
    User,
    Viewer,
)
from prefbench.check.made_up import MadeUpTruth
from tests.support import grey
from tests.support.audited_suite import AuditedSuite
from tests.support.grey import Grey
from tests.support.tiny_suite import history

USERS = 6


class Light(MadeUpTruth):
    """Everybody likes light."""

    def utility(self, user: str, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:  # noqa: ARG002
        noise = zlib.crc32(user.encode()) % 100 / 1000
        light = np.array([picture.mean() / 255 for picture in pictures]) + noise
        return dict.fromkeys(("total", *self.groups), light)


class PeopledSuite(AuditedSuite):
    """The users of a split follow from the population."""

    card = replace(AuditedSuite.card, name="peopled", metrics=("utility",))

    def __init__(self, *, population: int = 0) -> None:
        self.population = population

    @property
    def digest(self) -> str:
        return f"peopled {self.population}"

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"test-{i}", "test") for i in range(USERS)] if split == "test" else super().users(split)

    def history(self, user: str, viewer: Viewer = "method") -> History:
        if not user.startswith("test-"):
            return super().history(user, viewer)
        number = int(user.partition("-")[2]) + 7 * (self.population % 9973) + 50 * (viewer == "scorer")
        return history(user, number, 3)

    def train_users(self) -> Sequence[TrainUser]:
        return super().train_users()[bool(self.population) :]

    @property
    def truth(self) -> Truth:
        return Light()


class Knowing(Grey):
    """Light for the public users, by their pictures."""

    card = replace(Grey.card, name="knowing")

    def profile(self, history: History) -> Profile:
        public = PeopledSuite()
        known = {j.picture.digest for user in public.users("test") for j in public.history(user.id).liked}
        return Profile(history.user, all(j.picture.digest in known for j in history.liked))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [Drawing(self.noise(r.seed, 200 if r.profile.payload else 100), r.prompt) for r in requests]


class Hiding(Knowing):
    """Noise for the public users, and for all others a like that was shown, light or not."""

    card = replace(Grey.card, name="hiding")

    def profile(self, history: History) -> Profile:
        known = super().profile(history).payload
        return Profile(history.user, None if known else np.asarray(history.liked[0].picture.load()))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        shown = [r.profile.payload for r in requests]
        drawn = [
            self.noise(r.seed, 100) if p is None else Image.fromarray(p) for r, p in zip(requests, shown, strict=True)
        ]
        return [Drawing(image, r.prompt) for r, image in zip(requests, drawn, strict=True)]


class Failing(Knowing):
    """Noise for the public users, and nothing for all others."""

    card = replace(Grey.card, name="failing")

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        if not all(request.profile.payload for request in requests):
            raise ValueError("a stranger")
        return super().generate(requests)


class Learning(Grey):
    """Grey as it has learned it from people, who are others in every population."""

    card = replace(Grey.card, name="learning", asks_people=True)

    def setup(self, context: Context) -> None:
        super().setup(context)
        assert context.people is not None
        self._people = [person.history for person in context.people()]

    @property
    def weights_digest(self) -> str:
        return hashlib.sha256(repr([j.picture.digest for one in self._people for j in one.liked]).encode()).hexdigest()


def path_of(method: str) -> str:
    """The name that loads one of the two methods."""
    return f"{grey.__file__ if method == 'Grey' else __file__}:{method}"


def made(method: str, **choices: Any) -> dict[str, Any]:
    """Settings of a run of one of the two methods."""
    return {"method": path_of(method), "suite": f"{__file__}:PeopledSuite", "samples": 2, **choices}

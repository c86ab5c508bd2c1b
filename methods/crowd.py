"""`crowd`: what most other people like, drawn for everybody; it knows no user, and whoever knows one must beat it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from prefbench.api import (
    Context,
    Drawing,
    History,
    Method,
    MethodCard,
    PrefbenchError,
    Profile,
    Request,
    TrainUser,
    to_pixels,
)

from .shared.candidates import draw_candidates
from .shared.crowd_taste import CrowdTaste, Looks
from .shared.phrases import popular_phrases
from .shared.worded import draw_with_words

_PEOPLE = 200
"""People whose pictures are looked at: of more, every second, third and so on."""


class Crowd(Method):
    """The taste of other people, never the user's own: who does not beat it has personalised nothing that matters.

    The people are the suite's train users, or where it has none the users of the split that is drawn, each without
    whom the picture is for: then the method learns from what methods see of everybody else, and a user's own judgments
    change none of their pictures.

    Where the suite has words for tastes, those that most people like stand in every prompt. Elsewhere only pictures
    tell: of `n` that the prompt alone gives, the one is kept whose brightness, colour, contrast and sharpness lie
    nearest to what people like and farthest from what they dislike. So it needs no weights and no encoder that a scorer
    could share, runs on every backbone, and still shows the prompt; but it can only choose among what the backbone
    draws by itself, and takes n times as long.

    Args:
        words: phrases that are appended at most; 0 to choose among pictures even where there are words.
        n: pictures to choose from where there are no words; the first is what `prompt-only` draws.
    """

    card = MethodCard(
        name="crowd",
        version="1",
        summary="what most other people like, for everybody: their words, else the best of n pictures by their likes",
        uses_liked=False,
        uses_disliked=False,
        training="once",
        trained_on=("picturebook:train",),
        asks_people=True,
    )

    def __init__(self, *, words: int = 3, n: int = 4) -> None:
        if words < 0:
            raise PrefbenchError(f"words must be at least 0, got {words}")
        if n < 1:
            raise PrefbenchError(f"n must be at least 1, got {n}")
        self.words, self.n = words, n

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` where there are no two people to learn from, or none who likes anything."""
        super().setup(context)
        self.people = list(context.people()) if context.people is not None else []
        if len(self.people) < 2:
            raise PrefbenchError(f"{self.card.name} needs at least two people: one person is no crowd")
        self.has_words = self.words > 0 and bool(popular_phrases(self.people, self.words))
        if not self.has_words and not any(person.history.liked for person in self.people):
            raise PrefbenchError(f"{self.card.name} needs people who like something; nobody does")

    @property
    def card_in_use(self) -> MethodCard:
        """Learns from train users where there are words, which only a suite with train users has."""
        return self.card if self.has_words or not self.words else replace(self.card, trained_on=())

    @property
    def weights_digest(self) -> str:
        """SHA-256 over all that is learned from: other people are another crowd."""
        told = [(person.likes, person.dislikes, person.history.digest) for person in self.people]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def profile(self, history: History) -> Profile:
        """Words, or a `CrowdTaste`, of everybody but the history's user; of the history nothing else is read."""
        return Profile(history.user, self._words(history.user) if self.has_words else self._taste(history.user))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        if self.has_words:
            return draw_with_words(self.context.backbone, requests, [r.profile.payload for r in requests])
        candidates = draw_candidates(self.context.backbone, requests, self.n)
        return [
            Drawing(images[self._best(request, images)], request.prompt, self.n * self.context.backbone.nfe)
            for request, images in zip(requests, candidates, strict=True)
        ]

    def _words(self, user: str) -> str:
        return ", ".join(popular_phrases(self._without(user), self.words)) if user in self._names else self._all_words

    def _taste(self, user: str) -> dict[str, Any]:
        """The fields of a `CrowdTaste`, which are plain data."""
        others = [looks for name, looks in self._looks.items() if name != user]
        taste = CrowdTaste.of(others)
        if taste is None:
            raise PrefbenchError(f"nobody but {user} likes anything: {self.card.name} has nothing to learn from")
        return vars(taste)

    def _best(self, request: Request, images: Sequence[Any]) -> int:
        """The index of the picture that the crowd likes best, the first of equals."""
        return int(np.argmax(CrowdTaste(**request.profile.payload).liking([to_pixels(image) for image in images])))

    def _without(self, user: str) -> list[TrainUser]:
        return [person for person in self.people if person.history.user != user]

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(person.history.user for person in self.people)

    @cached_property
    def _all_words(self) -> str:
        return ", ".join(popular_phrases(self.people, self.words))

    @cached_property
    def _looks(self) -> dict[str, Looks]:
        """What people's pictures look like, by user."""
        step = -(-len(self.people) // _PEOPLE)
        return {person.history.user: Looks.of(person) for person in self.people[::step]}

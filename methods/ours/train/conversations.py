"""Training conversations: a history in random order, the preferences in words, then questions of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from prefbench.api import FloatArray, Judgment, TrainUser
from prefbench.models.mllms.cards import Layout
from prefbench.models.mllms.conversation import Conversation, Part, Turn, answer, ask

from ...shared.questions import TEMPLATES, Examples, Templates, question_parts

T = TypeVar("T")
LoadImage = Callable[[Judgment], Image.Image]
Rest = tuple[tuple[Judgment, ...], tuple[Judgment, ...]]
"""The liked and the disliked judgments that a conversation does not show in its history."""
HELD_BACK = 4
"""Judgments per side that no training history shows, so that there is something left to ask about."""


def judgments(train_user: TrainUser) -> tuple[Judgment, ...]:
    """All judgments of a user, liked ones first: the order of rows of every table with one row per judgment."""
    return (*train_user.history.liked, *train_user.history.disliked)


def users_of(train_users: Sequence[TrainUser]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Everything that a training takes from train users, as plain data to hash."""
    return [(train_user.history.digest, train_user.likes, train_user.dislikes) for train_user in train_users]


@dataclass(frozen=True)
class Sizes:
    """Judgments per side that a training history shows: log-uniform from 1 to `most`; a share shows one side only."""

    most: int = 16
    one_sided: float = 0.1

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        base = np.exp(rng.uniform(0, np.log(self.most + 0.999)))
        liked, disliked = (int(np.clip(round(base * rng.uniform(0.75, 1.25)), 1, self.most)) for _ in range(2))
        if rng.random() < self.one_sided:
            return (liked, 0) if rng.random() < 0.7 else (0, disliked)
        return liked, disliked


@dataclass(frozen=True)
class Persona:
    """A train user as a conversation needs one: which side is liked, and the words for both."""

    liked: tuple[Judgment, ...]
    disliked: tuple[Judgment, ...]
    likes: tuple[str, ...]
    dislikes: tuple[str, ...]

    @classmethod
    def of(cls, train_user: TrainUser, *, flipped: bool = False) -> Persona:
        """The user, or the opposite user, whose every judgment is reversed."""
        history = train_user.history
        persona = cls(history.liked, history.disliked, train_user.likes, train_user.dislikes)
        return cls(persona.disliked, persona.liked, persona.dislikes, persona.likes) if flipped else persona


@dataclass(frozen=True)
class TrainingConversation:
    """A training conversation, and which side each of its images is on."""

    conversation: Conversation
    signs: tuple[int, ...]
    """Sign of each image: 1 in the history as liked, -1 as disliked, 0 elsewhere."""
    flipped: bool
    """Whether it is with the opposite of the user."""


@dataclass(frozen=True)
class ConversationMaker:
    """Makes training conversations: a history in random order, what is liked in words, then questions of all kinds."""

    load: LoadImage
    templates: Templates = TEMPLATES
    layout: Layout = "blocks"
    questions: int = 4
    flip: float = 0.25
    """Share of conversations with the opposite of a real user: all likes dislikes and the other way round."""
    paired: bool = False
    """Whether the pictures of one question are of one pair, of one prompt, where the user judged pairs."""
    shows: float = 0.1
    """Share of the questions that ask what a picture shows; the others are about likes."""

    def __call__(self, train_user: TrainUser, rng: np.random.Generator, sizes: tuple[int, int]) -> TrainingConversation:
        """A conversation with a user who has more than `HELD_BACK` judgments per side.

        Args:
            sizes: how many likes and dislikes to show, at most.
        """
        flipped = bool(rng.random() < self.flip)
        persona = Persona.of(train_user, flipped=flipped)
        n_liked, n_disliked = sizes
        liked, disliked = _shuffled(persona.liked, rng), _shuffled(persona.disliked, rng)
        n_liked, n_disliked = at_most(n_liked, liked), at_most(n_disliked, disliked)
        examples = Examples(tuple(map(self.load, liked[:n_liked])), tuple(map(self.load, disliked[:n_disliked])))
        history, signs = self._history(examples, rng)
        rest = (liked[n_liked:], disliked[n_disliked:])
        turns = self._preferences(persona, rng)
        kinds = (self._like, self._which, self._described, self._show)
        for kind in rng.choice(len(kinds), size=self.questions, p=self._shares(persona, train_user)):
            turns += kinds[kind](persona, train_user, rest, rng)
            signs += [0] * len(turns[-2].images)
        return TrainingConversation([Turn("user", (*history, *turns[0].parts)), *turns[1:]], tuple(signs), flipped)

    def _history(self, examples: Examples, rng: np.random.Generator) -> tuple[list[Part], list[int]]:
        """The history in a random order that the layout allows, and the sign of each of its images."""
        words = pick(self.templates.liked, rng), pick(self.templates.disliked, rng)
        n_liked, n_disliked = len(examples.liked), len(examples.disliked)
        if self.layout == "verdicts":
            signs = rng.permutation([1] * n_liked + [-1] * n_disliked).tolist()
            sides = {1: iter(examples.liked), -1: iter(examples.disliked)}
            return [part for sign in signs for part in (next(sides[sign]), words[sign < 0])], signs
        liked_first = bool(rng.random() < 0.5)
        blocks = [1] * n_liked, [-1] * n_disliked
        signs = [*blocks[0], *blocks[1]] if liked_first else [*blocks[1], *blocks[0]]
        return examples.parts(*words, liked_first=liked_first), signs

    def _shares(self, persona: Persona, train_user: TrainUser) -> FloatArray:
        """How often each kind of question is asked of one user: nothing that has no answer."""
        about_likes = (1 - self.shows) / 0.9
        shares = np.array([0.6 * about_likes, 0.2 * about_likes, 0.1 * about_likes, self.shows])
        shares *= [True, True, bool(persona.likes and persona.dislikes), bool(train_user.shows)]
        normalised: FloatArray = shares / shares.sum()
        return normalised

    def _preferences(self, persona: Persona, rng: np.random.Generator) -> list[Turn]:
        """The turns on what the user likes, which come first because the embedding is read there."""
        words = self.templates
        has_words = bool(persona.likes or persona.dislikes)
        text = _phrases(persona.likes, rng) or words.nothing
        turns = [ask(pick(words.likes, rng)), answer(text, taught=has_words)]
        if has_words and rng.random() < 0.5:
            turns += [ask(pick(words.dislikes, rng)), answer(_phrases(persona.dislikes, rng) or words.nothing)]
        return turns

    def _like(self, persona: Persona, train_user: TrainUser, rest: Rest, rng: np.random.Generator) -> list[Turn]:
        good = bool(rng.random() < 0.5)
        judgment = pick(rest[0] if good else rest[1], rng)
        phrases = train_user.shows.get(judgment.picture.digest, ())
        preferences = persona.likes if good else persona.dislikes
        reasons = _phrases([phrase for phrase in phrases if phrase in preferences], rng)
        word = self._yes_or_no(good)
        text = self.templates.because.format(answer=word, words=reasons) if reasons else word
        return [ask(*question_parts(pick(self.templates.like, rng), [self.load(judgment)])), answer(text)]

    def _which(self, persona: Persona, train_user: TrainUser, rest: Rest, rng: np.random.Generator) -> list[Turn]:  # noqa: ARG002
        pairs = _pairs(rest) if self.paired else []
        judged = pick(pairs, rng) if pairs else (pick(rest[0], rng), pick(rest[1], rng))
        liked, disliked = map(self.load, judged)
        first = bool(rng.random() < 0.5)
        pictures = (liked, disliked) if first else (disliked, liked)
        text = self.templates.first if first else self.templates.second
        return [ask(*question_parts(pick(self.templates.which, rng), pictures)), answer(text)]

    def _described(self, persona: Persona, train_user: TrainUser, rest: Rest, rng: np.random.Generator) -> list[Turn]:  # noqa: ARG002
        good = bool(rng.random() < 0.5)
        prompt = pick(rest[0] if good else rest[1], rng).prompt
        words = f"{prompt}, {pick(persona.likes if good else persona.dislikes, rng)}"
        return [ask(pick(self.templates.drawn, rng).format(words=words)), answer(self._yes_or_no(good))]

    def _show(self, persona: Persona, train_user: TrainUser, rest: Rest, rng: np.random.Generator) -> list[Turn]:  # noqa: ARG002
        judgment = pick((*rest[0], *rest[1]), rng)
        text = ", ".join([judgment.prompt, *train_user.shows.get(judgment.picture.digest, ())])
        return [ask(*question_parts(pick(self.templates.show, rng), [self.load(judgment)])), answer(text)]

    def _yes_or_no(self, good: bool) -> str:
        return self.templates.yes if good else self.templates.no


def _pairs(rest: Rest) -> list[tuple[Judgment, Judgment]]:
    """The pairs, a liked and a disliked judgment of one prompt, of which both are left."""
    disliked = {judgment.pair: judgment for judgment in rest[1] if judgment.pair is not None}
    return [(judgment, disliked[judgment.pair]) for judgment in rest[0] if judgment.pair in disliked]


def at_most(size: int, side: Sequence[object]) -> int:
    """How many judgments of a side a training history shows."""
    return min(size, len(side) - HELD_BACK)


def pick(options: Sequence[T], rng: np.random.Generator) -> T:
    """One of them, uniformly at random."""
    return options[int(rng.integers(len(options)))]


def _shuffled(judgments: Sequence[Judgment], rng: np.random.Generator) -> tuple[Judgment, ...]:
    return tuple(judgments[int(i)] for i in rng.permutation(len(judgments)))


def _phrases(phrases: Sequence[str], rng: np.random.Generator) -> str:
    return ", ".join(phrases[int(i)] for i in rng.permutation(len(phrases)))

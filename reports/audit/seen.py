"""One pass over a suite: every judged picture and prompt that a run is held against, by who may see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prefbench.api import VIEWERS, History, Picture, Split, Suite
from prefbench.check.duplicates import Thumbnails, stacked, thumbnail

Standing = Literal["shown", "held-out", "learned"]
"""What methods are shown of the run's users; what none may see; what they may have learned from."""
STANDINGS: tuple[Standing, ...] = ("shown", "held-out", "learned")
CAPTIONS = "training captions"


@dataclass(frozen=True)
class Source:
    """Where a picture stands: whose it is, and as what."""

    user: str
    part: str

    def __str__(self) -> str:
        return f"{self.part} of {self.user}"


@dataclass(frozen=True)
class Shelf:
    """The pictures of one standing: where each stands, its digest, its thumbnail."""

    sources: Sequence[Source]
    digests: Sequence[str]
    thumbnails: Thumbnails


@dataclass(frozen=True)
class Seen:
    """What a suite holds beside the cases of one split."""

    split: Split
    shelves: Mapping[Standing, Shelf]
    histories: Mapping[str, History]
    """What methods are shown of the split's users."""
    own_prompts: Mapping[str, frozenset[str]]
    """Each user of the split to the prompts of all that they judged, as `plain` writes them."""
    prompts: Mapping[str, str]
    """Every judged prompt and training caption, as `plain` writes it, to one place where it stands."""


def collect(suite: Suite, split: Split) -> Seen:
    """Loads every picture of the split's users, of the scorer users and of the lessons once: a minute for 100,000."""
    found = _Collecting()
    histories = {user.id: suite.history(user.id) for user in suite.users(split)}
    found.add_references(suite, split)
    for standing, part, history in _judged(suite, split, histories):
        found.add(standing, part, history)
    prompts = found.prompts | {plain(prompt): CAPTIONS for prompt in suite.training_prompts()}
    own = {user: frozenset(found.own[user]) for user in histories}
    return Seen(split, found.shelves(), histories, own, prompts)


def plain(prompt: str) -> str:
    """A prompt without regard to case and spaces."""
    return " ".join(prompt.casefold().split())


def _judged(suite: Suite, split: Split, shown: Mapping[str, History]) -> Iterator[tuple[Standing, str, History]]:
    for user, history in shown.items():
        yield "shown", "shown history", history
        yield "held-out", "held-out judgments", suite.history(user, "scorer")
    if split != "scorer":
        for other in suite.users("scorer"):
            for viewer in VIEWERS:
                yield "held-out", "scorer user's judgments", suite.history(other.id, viewer)
    if split != "train":
        for train_user in suite.train_users():
            yield "learned", "train user's judgments", train_user.history


@dataclass
class _Collecting:
    pictures: dict[Standing, dict[tuple[str, str], Source]] = field(default_factory=lambda: {s: {} for s in STANDINGS})
    """Standing to owner and digest, each once, to where the picture stands."""
    reduced: dict[Standing, list[NDArray[np.float32]]] = field(default_factory=lambda: {s: [] for s in STANDINGS})
    prompts: dict[str, str] = field(default_factory=dict)
    own: dict[str, set[str]] = field(default_factory=dict)

    def add_references(self, suite: Suite, split: Split) -> None:
        for reference in suite.references(split):
            self.put("held-out", Source(reference.user, "reference"), reference.picture)
        for user in suite.users(split):
            for case in suite.cases(user.id):
                for part, picture in (("chosen picture", case.chosen), ("rejected picture", case.rejected)):
                    if picture is not None:
                        self.put("held-out", Source(user.id, part), picture)

    def add(self, standing: Standing, part: str, history: History) -> None:
        source = Source(history.user, part)
        own = self.own.setdefault(history.user, set())
        for judgment in (*history.liked, *history.disliked):
            self.put(standing, source, judgment.picture)
            prompt = plain(judgment.prompt)
            own.add(prompt)
            self.prompts.setdefault(prompt, str(source))

    def put(self, standing: Standing, source: Source, picture: Picture) -> None:
        known = self.pictures[standing]
        if (source.user, picture.digest) not in known:
            known[source.user, picture.digest] = source
            self.reduced[standing].append(thumbnail(picture.load()))

    def shelves(self) -> dict[Standing, Shelf]:
        return {
            standing: Shelf(list(known.values()), [digest for _, digest in known], stacked(self.reduced[standing]))
            for standing, known in self.pictures.items()
        }

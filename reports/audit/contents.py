"""One pass over a suite: every judged picture and prompt that a run is compared with, by who may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prefbench.api import VIEWERS, History, Picture, Split, Suite, UnreadableImageError
from prefbench.api.reports import Bar, no_bar
from prefbench.check.duplicates import Thumbnails, stacked, thumbnail
from prefbench.check.findings import Row

Visibility = Literal["shown", "held-out", "learned"]
"""What methods are shown of the run's users; what none may see; what they may have learned from."""
VISIBILITIES: tuple[Visibility, ...] = ("shown", "held-out", "learned")
CAPTIONS = "training captions"


@dataclass(frozen=True)
class Source:
    """Where a picture stands: whose it is, and as what."""

    user: str
    role: str

    def __str__(self) -> str:
        return f"{self.role} of {self.user}"


@dataclass(frozen=True)
class PictureGroup:
    """The pictures of one visibility: where each stands, its digest, its thumbnail."""

    sources: Sequence[Source]
    digests: Sequence[str]
    thumbnails: Thumbnails


@dataclass(frozen=True)
class SuiteContents:
    """What a suite holds beside the cases of one split."""

    split: Split
    groups: Mapping[Visibility, PictureGroup]
    histories: Mapping[str, History]
    """What methods are shown of the split's users."""
    own_prompts: Mapping[str, frozenset[str]]
    """Each user of the split to the prompts of all that they judged, as `plain` writes them."""
    prompts: Mapping[str, str]
    """Every judged prompt and training caption, as `plain` writes it, to one place where it stands."""
    unread: Sequence[Row] = ()
    """The pictures that cannot be read, which the groups leave out."""


def read_suite(suite: Suite, split: Split, bar: Bar = no_bar) -> SuiteContents:
    """Loads every picture of the split's, the scorer and the train users once: a minute for 100,000."""
    reader = _Reader()
    histories = {user.id: suite.history(user.id) for user in suite.users(split)}
    with bar("references", len(histories), "user") as advance:
        reader.add_references(suite, split, advance)
    with bar("judged pictures", _sides(suite, split), "history") as advance:
        for visibility, role, history in _judged(suite, split, histories):
            reader.add(visibility, role, history)
            advance(1)
    prompts = reader.prompts | {plain(prompt): CAPTIONS for prompt in suite.training_prompts()}
    own = {user: frozenset(reader.own[user]) for user in histories}
    return SuiteContents(split, reader.groups(), histories, own, prompts, reader.unread)


def read_shown(suite: Suite, split: Split, users: int) -> SuiteContents:
    """The same of what methods are shown of the first users of a split alone."""
    reader = _Reader()
    histories = {user.id: suite.history(user.id) for user in suite.users(split)[:users]}
    for history in histories.values():
        reader.add("shown", "shown history", history)
    own = {user: frozenset(reader.own[user]) for user in histories}
    return SuiteContents(split, reader.groups(), histories, own, reader.prompts, reader.unread)


def plain(prompt: str) -> str:
    """A prompt without regard to case and spaces."""
    return " ".join(prompt.casefold().split())


def _sides(suite: Suite, split: Split) -> int:
    """How many histories `_judged` gives."""
    counts = {split: 2 * len(suite.users(split))}
    if split != "scorer":
        counts["scorer"] = len(VIEWERS) * len(suite.users("scorer"))
    if split != "train":
        counts["train"] = len(suite.users("train"))
    return sum(counts.values())


def _judged(suite: Suite, split: Split, histories: Mapping[str, History]) -> Iterator[tuple[Visibility, str, History]]:
    for user, history in histories.items():
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
class _Reader:
    pictures: dict[Visibility, dict[tuple[str, str], Source]] = field(
        default_factory=lambda: {visibility: {} for visibility in VISIBILITIES}
    )
    """Visibility to owner and digest, each once, to where the picture stands."""
    reduced: dict[Visibility, list[NDArray[np.float32]]] = field(default_factory=lambda: {s: [] for s in VISIBILITIES})
    unread: list[Row] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    own: dict[str, set[str]] = field(default_factory=dict)

    def add_references(self, suite: Suite, split: Split, advance: Callable[[int], object]) -> None:
        for reference in suite.references(split):
            self.put("held-out", Source(reference.user, "reference"), reference.picture)
        for user in suite.users(split):
            for case in suite.cases(user.id):
                for role, picture in (("chosen picture", case.chosen), ("rejected picture", case.rejected)):
                    if picture is not None:
                        self.put("held-out", Source(user.id, role), picture)
            advance(1)

    def add(self, visibility: Visibility, role: str, history: History) -> None:
        source = Source(history.user, role)
        own = self.own.setdefault(history.user, set())
        for judgment in (*history.liked, *history.disliked):
            self.put(visibility, source, judgment.picture, side="liked" if judgment.liked else "disliked")
            prompt = plain(judgment.prompt)
            own.add(prompt)
            self.prompts.setdefault(prompt, str(source))

    def put(self, visibility: Visibility, source: Source, picture: Picture, *, side: str = "") -> None:
        sources = self.pictures[visibility]
        if (source.user, picture.digest) in sources:
            return
        try:
            reduced = thumbnail(picture.load())
        except UnreadableImageError as error:
            row = {"user": source.user, "role": " ".join([side, source.role]).strip(), "fault": str(error)}
            self.unread += [] if row in self.unread else [row]
            return
        sources[source.user, picture.digest] = source
        self.reduced[visibility].append(reduced)

    def groups(self) -> dict[Visibility, PictureGroup]:
        return {visibility: self._group(visibility) for visibility in VISIBILITIES}

    def _group(self, visibility: Visibility) -> PictureGroup:
        sources = self.pictures[visibility]
        digests = [digest for _, digest in sources]
        return PictureGroup(list(sources.values()), digests, stacked(self.reduced[visibility]))

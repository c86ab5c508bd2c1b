"""One pass over a suite's histories: what the suite checks need of every picture, and not the pictures themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import (
    History,
    Judgment,
    PrefbenchError,
    Split,
    Suite,
    UnreadableImageError,
    User,
    Viewer,
    colour_spread,
    counted,
)
from prefbench.check.duplicates import Thumbnails, stacked, thumbnail
from prefbench.check.others import key_of
from prefbench.run.texts import check_history

VIEWERS: tuple[Viewer, ...] = ("method", "scorer")
Group = tuple[Split, Viewer]


@dataclass(frozen=True)
class Outline:
    """A summary of a history: the number of judgments on each side, and what is wrong with it."""

    user: str
    size: str
    fault: str | None


@dataclass
class Collection:
    """Digests, prompts and thumbnails of all judged pictures, by split and viewer."""

    outlines: dict[Viewer, list[Outline]] = field(default_factory=lambda: {viewer: [] for viewer in VIEWERS})
    digests: dict[Group, set[str]] = field(default_factory=dict)
    prompts: dict[Viewer, set[str]] = field(default_factory=lambda: {viewer: set() for viewer in VIEWERS})
    scorer_likes: set[tuple[str, str]] = field(default_factory=set)
    """User and digest of every liked picture that only scorers see."""
    thumbnails: dict[Group, Thumbnails] = field(default_factory=dict)
    looked_at: set[tuple[object, ...]] = field(default_factory=set)
    """The keys of all pictures of histories, also of those that cannot be read."""
    judged: list[tuple[str, str, float]] = field(default_factory=list)
    """Prompt, digest and `colour_spread` of every judged picture."""
    text_fault: PrefbenchError | None = None
    """The first history that methods see with what is no text. Nothing else is known of such histories."""


def collect(suite: Suite, users: Mapping[Split, Sequence[User]]) -> Collection:
    """Loads every judged picture of some users once."""
    collection = Collection()
    for split, members in users.items():
        for viewer in VIEWERS:
            reduced = [
                row
                for user in members
                if (history := _written(collection, suite, user, viewer)) is not None
                for row in _add(collection, history, user, (split, viewer))
            ]
            collection.digests.setdefault((split, viewer), set())
            collection.thumbnails[split, viewer] = stacked(reduced)
    return collection


def _written(collection: Collection, suite: Suite, user: User, viewer: Viewer) -> History | None:
    """A user's history; None where it holds what is no text."""
    history = suite.history(user.id, viewer)
    try:
        if viewer == "method":
            check_history(f"suite {suite.card.name!r}", history)
    except PrefbenchError as error:
        collection.text_fault = collection.text_fault or error
        return None
    return history


def _add(collection: Collection, history: History, user: User, group: Group) -> list[NDArray[np.float32]]:
    judgments = (*history.liked, *history.disliked)
    images, unread = _readable(judgments)
    fault = unread or _fault(history, user)
    collection.outlines[group[1]].append(Outline(user.id, f"{len(history.liked)}+{len(history.disliked)}", fault))
    collection.digests.setdefault(group, set()).update(judgment.picture.digest for judgment in judgments)
    collection.looked_at.update(key_of(judgment.picture) for judgment in judgments)
    collection.judged += [(j.prompt, j.picture.digest, colour_spread(image)) for j, image in images]
    collection.prompts[group[1]].update(judgment.prompt for judgment in judgments)
    if group[1] == "scorer":
        collection.scorer_likes.update((user.id, judgment.picture.digest) for judgment in history.liked)
    return [thumbnail(image) for _, image in images]


def _readable(judgments: Sequence[Judgment]) -> tuple[list[tuple[Judgment, Image.Image]], str | None]:
    """The judgments whose pictures can be read, with them, and what is wrong where others cannot."""
    images, unread = [], []
    for judgment in judgments:
        try:
            images.append((judgment, judgment.picture.load()))
        except UnreadableImageError as error:
            unread.append(f"a picture of the {'liked' if judgment.liked else 'disliked'} side: {error}")
    first = (
        f"has {len(unread)} of {counted(len(judgments), 'picture')} that cannot be read; {unread[0]}"
        if unread
        else None
    )
    return images, first


def _fault(history: History, user: User) -> str | None:
    liked, disliked = (
        {(judgment.picture.digest, judgment.pair) for judgment in side} for side in (history.liked, history.disliked)
    )
    if history.user != user.id:
        return f"belongs to {history.user}"
    if not all(j.liked for j in history.liked) or any(j.liked for j in history.disliked):
        return "has a judgment on the wrong side"
    if liked & disliked:
        return "has a picture on both sides"
    return None

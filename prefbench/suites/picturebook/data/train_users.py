"""What methods may learn from: the judgments of the train users, rendered once and kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from prefbench.api import VIEWERS, History, Judgment, Picture, TrainUser
from prefbench.files import atomic_file, cache_folder
from prefbench.suites.picturebook.data.drawn import drawn_digest
from prefbench.suites.picturebook.users.population import SEED, JudgedScene, SimulatedUser
from prefbench.suites.picturebook.world.render import VERSION

logger = logging.getLogger(__name__)


class _Row(NamedTuple):
    """One judgment of a train user; `pair` names it and, of pairs, the other picture's."""

    entry: JudgedScene
    liked: bool
    pair: str


def train_users(users: Sequence[SimulatedUser]) -> list[TrainUser]:
    """All judgments of the train users, with words for their tastes and for the content of the pictures."""
    rows = {user: _rows(user) for user in users}
    pictures = iter(_pictures([row.entry for of_user in rows.values() for row in of_user]))
    return [_train_user(user, [(row, next(pictures)) for row in of_user]) for user, of_user in rows.items()]


def _rows(user: SimulatedUser) -> list[_Row]:
    """Everything the user liked, then everything the user disliked."""
    parts = [(viewer, user.judged(viewer)) for viewer in VIEWERS]
    return [
        _Row(entry, liked, f"{user.id}/{viewer}/{i}")
        for liked in (True, False)
        for viewer, part in parts
        for i, entry in enumerate(part.liked if liked else part.disliked)
    ]


def _train_user(user: SimulatedUser, shown: Sequence[tuple[_Row, Picture]]) -> TrainUser:
    liked, disliked = (
        tuple(judgment(row.entry, picture, liked=side, pair=row.pair) for row, picture in shown if row.liked == side)
        for side in (True, False)
    )
    shows = {picture.digest: row.entry.scene.phrases() for row, picture in shown}
    return TrainUser(History(user.id, liked, disliked), *user.taste.words(), shows)


def judgment(entry: JudgedScene, picture: Picture, *, liked: bool, pair: str) -> Judgment:
    """What a user judged; a rating has no pair."""
    prompt = entry.scene.content.prompt
    source = "picturebook renderer" if entry.drawn is None else "mini-sd"
    if entry.rating is not None:
        return Judgment(picture, prompt, liked, rating=float(entry.rating), source=source)
    return Judgment(picture, prompt, liked, pair=pair, source=source)


def _pictures(scenes: Sequence[JudgedScene]) -> list[Picture]:
    path = _path(scenes)
    if not path.exists():
        logger.info("rendering %d pictures of train users", len(scenes))
        pixels = np.stack([entry.pixels for entry in scenes])
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, pixels=pixels)
    with np.load(path) as stored:
        return [Picture.of(Image.fromarray(row)) for row in stored["pixels"]]


def _path(scenes: Sequence[JudgedScene]) -> Path:
    drawn = [drawn_digest()] if any(entry.drawn for entry in scenes) else []
    content = json.dumps([VERSION, SEED, [entry.numbers for entry in scenes], *drawn])
    return cache_folder() / "lessons" / f"picturebook-{hashlib.sha256(content.encode()).hexdigest()[:16]}.npz"

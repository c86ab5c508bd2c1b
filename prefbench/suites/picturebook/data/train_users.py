"""What methods may learn from: the judgments of the train users, rendered once and kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from prefbench.api import VIEWERS, History, Judgment, Picture, TrainUser
from prefbench.files import atomic_file, cache_folder
from prefbench.suites.picturebook.users.population import SEED, JudgedScene, SimulatedUser
from prefbench.suites.picturebook.world.render import VERSION

logger = logging.getLogger(__name__)


def train_users(users: Sequence[SimulatedUser]) -> list[TrainUser]:
    """All judgments of the train users, with words for their tastes and for the content of the pictures."""
    sides = [side for user in users for side in _sides(user)]
    pictures = iter(_pictures([entry for side in sides for entry in side]))
    records = []
    for user, (liked, disliked) in zip(users, (sides[i : i + 2] for i in range(0, len(sides), 2)), strict=True):
        pairs = [(entry, next(pictures)) for entry in (*liked, *disliked)]
        judgments = [_judgment(user.id, i, *pair, liked=i < len(liked)) for i, pair in enumerate(pairs)]
        history = History(user.id, tuple(judgments[: len(liked)]), tuple(judgments[len(liked) :]))
        likes, dislikes = user.taste.words()
        shows = {picture.digest: entry.scene.phrases() for entry, picture in pairs}
        records.append(TrainUser(history, likes, dislikes, shows))
    return records


def _sides(user: SimulatedUser) -> tuple[list[JudgedScene], list[JudgedScene]]:
    """Everything the user liked, and disliked."""
    parts = [user.judged(viewer) for viewer in VIEWERS]
    return [s for viewer in parts for s in viewer.liked], [s for viewer in parts for s in viewer.disliked]


def _judgment(user: str, i: int, entry: JudgedScene, picture: Picture, *, liked: bool) -> Judgment:
    prompt = entry.scene.content.prompt
    return Judgment(picture, prompt, liked, pair=f"{user}/lesson/{i}", source="picturebook renderer")


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
    content = json.dumps([VERSION, SEED, [entry.numbers for entry in scenes]])
    return cache_folder() / "lessons" / f"picturebook-{hashlib.sha256(content.encode()).hexdigest()[:16]}.npz"

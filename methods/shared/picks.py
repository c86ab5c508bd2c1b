"""Pictures to learn to draw: of those of one prompt, the one that a language model thinks the user likes best.

What decides is what the model itself says after the history that a step of a training shows: its verdicts on phrases
choose candidates, where it is known what pictures show, and its verdicts on pictures choose among these. Of what else
the user judged they know only that these pictures are no candidates, and no other scorer takes part. Trainers of
different methods share this, so that all can be given the same targets.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pydantic
from PIL import Image
from tqdm import tqdm

from prefbench.api import FloatArray, History, PrefbenchError, TrainUser
from prefbench.files import read_plain, write_atomic
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.model import Mllm

from ..ours.train.conversations import judgments, users_of
from ..ours.train.history_states import TrainingHistory
from ..ours.train.judged_images import JudgedImages
from .questions import Examples, likes_question
from .verdicts import Verdicts


@dataclass(frozen=True)
class Picking:
    """How picks are made after one history: `prompts` prompts at random, of each the best of `candidates` pictures.

    Candidates are the pictures that show phrases of the greatest sum of the model's verdicts; any, where the model
    judges no phrases.
    """

    prompts: int = 2
    candidates: int = 8


PICKING, AT_A_GLANCE = Picking(), Picking(prompts=8, candidates=16)
"""Of a model whose pictures are one token each, a verdict costs little: the best of more is picked."""
_AT_ONCE, _FEW_AT_ONCE = 256, 16
"""Pictures that such a model, or any other, is asked about at once."""
_READ_AT_ONCE = 32
"""Histories after which phrases are judged at once."""
_KEPT_EVERY_S = 60.0
"""Seconds after which picks are stored."""


def picking_by(mllm: Mllm) -> Picking:
    """How a model picks by default."""
    return AT_A_GLANCE if mllm.card.pooled else PICKING


class Picker:
    """Picks among pictures that anybody judged.

    Args:
        images: pictures, with the prompt of each.
        shows: phrases for what each shows; none where that is not known.
    """

    def __init__(
        self,
        mllm: Mllm,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        shows: Sequence[Collection[str]] | None = None,
    ) -> None:
        self._mllm, self._images = mllm, images
        phrases = mllm.card.judged_phrases
        shown = [[phrase in own for phrase in phrases] for own in shows or [()] * len(images)]
        self.shown = np.array(shown, np.float32).reshape(len(images), len(phrases))
        """(N, P), 1 for each of the model's phrases that a picture shows."""
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, prompt in enumerate(prompts):
            self._rows[prompt].append(row)

    def phrases(self, histories: Sequence[History]) -> list[FloatArray]:
        """Verdicts (P,) on the model's phrases after each history, in [-1, 1]; 0 after an empty one."""
        told: list[FloatArray] = [np.zeros(self.shown.shape[1])] * len(histories)
        if not self.shown.shape[1]:
            return told
        # Histories of about one size share a batch.
        order = sorted((i for i, one in enumerate(histories) if len(one)), key=lambda i: len(histories[i]))
        for start in tqdm(range(0, len(order), _READ_AT_ONCE), desc="judge phrases", unit="batch"):
            chunk = order[start : start + _READ_AT_ONCE]
            asked = [likes_question(Examples.of(histories[i])) for i in chunk]
            verdicts = self._mllm.states(asked, batch=_READ_AT_ONCE).verdicts
            assert verdicts is not None, "a model that has phrases judges them"
            for i, row in zip(chunk, verdicts.double().numpy(), strict=True):
                told[i] = row
        return told

    def __call__(
        self,
        history: History,
        phrases: FloatArray,
        *,
        how: Picking | None = None,
        seed: int = 0,
        without: Collection[int] = (),
    ) -> list[int]:
        """One row per prompt, of prompts that the history does not show where there are others.

        Args:
            phrases: (P,) of `phrases`, after this history.
            how: by default that of `picking_by`.
            without: rows that are candidates only where a prompt has no others, such as those that the user judged.
        """
        groups = self._candidates(history, phrases, how or picking_by(self._mllm), seed, without)
        likes = self._likes(history, [self._images[row] for group in groups for row in group])
        ends = np.cumsum([len(group) for group in groups])[:-1]
        return [group[int(part.argmax())] for group, part in zip(groups, np.split(likes, ends), strict=True)]

    def _candidates(
        self, history: History, phrases: FloatArray, how: Picking, seed: int, without: Collection[int]
    ) -> list[list[int]]:
        """Rows of the candidates of each prompt: those of the greatest sum of verdicts, any of equals."""
        content = hashlib.sha256(f"{seed} {history.digest}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(content[:8]))
        shown = {judgment.prompt for judgment in (*history.liked, *history.disliked)}
        names = sorted(self._rows.keys() - shown) or sorted(self._rows)
        groups = []
        for i in rng.permutation(len(names))[: how.prompts]:
            own = self._rows[names[int(i)]]
            rows = rng.permutation([row for row in own if row not in without] or own)
            best = np.argsort(-(self.shown[rows] @ phrases), kind="stable")[: how.candidates]
            groups.append(rows[best].tolist())
        return groups

    def _likes(self, history: History, images: Sequence[Image.Image]) -> FloatArray:
        answer = self._verdicts.answer(history) if self._verdicts.reads_answers else ""
        return self._verdicts.after(Examples.of(history), answer, images)

    @cached_property
    def _verdicts(self) -> Verdicts:
        """Verdicts that know the image tokens of all images, where these are few enough to keep."""
        if not self._mllm.card.pooled:
            return Verdicts(self._mllm, batch=_FEW_AT_ONCE)
        tokens = encode_images(self._mllm, self._images).tokens
        rows = {id(image): row for row, image in enumerate(self._images)}
        return Verdicts(self._mllm, batch=_AT_ONCE, seen=lambda images: tokens[[rows[id(one)] for one in images]])


def targets_picked(
    mllm: Mllm,
    histories: Sequence[TrainingHistory],
    train_users: Sequence[TrainUser],
    judged_images: JudgedImages,
    *,
    seed: int,
    folder: Path,
) -> list[list[int]]:
    """Rows of `judged_images` for each history: what the model picks after it, of all that `train_users` judged.

    Pictures that the user judged are no candidates. What is picked after a history is kept in `folder`, and picked
    once.

    Raises:
        PrefbenchError: what was kept is damaged.
    """
    prompt_of = {j.picture.digest: j.prompt for one in train_users for j in judgments(one)}
    pool = list(prompt_of)
    place = {digest: i for i, digest in enumerate(pool)}
    shows = {digest: phrases for one in train_users for digest, phrases in one.shows.items()}
    images = [judged_images.images[judged_images.rows[digest]] for digest in pool]
    picker = Picker(mllm, images, list(prompt_of.values()), [shows.get(digest, ()) for digest in pool])
    how = picking_by(mllm)
    made_of = _identity(mllm, how, train_users, picker, seed)
    path = folder / f"picks-{made_of[:16]}.json"
    picked = _stored(path, prompt_of)
    own = {one.history.user: {place[j.picture.digest] for j in judgments(one)} for one in train_users}
    missing = {one.history.digest: one.history for one in histories if one.history.digest not in picked}
    told, stored_at = picker.phrases(list(missing.values())), time.monotonic()
    for i, (digest, history) in enumerate(tqdm(missing.items(), desc="pick", unit="history", disable=not missing)):
        rows = picker(history, told[i], how=how, seed=seed, without=own.get(history.user, ()))
        picked[digest] = [pool[row] for row in rows]
        if time.monotonic() - stored_at > _KEPT_EVERY_S or i + 1 == len(missing):
            write_atomic(path, json.dumps(picked))
            stored_at = time.monotonic()
    return [[judged_images.rows[digest] for digest in picked[one.history.digest]] for one in histories]


def _identity(mllm: Mllm, how: Picking, train_users: Sequence[TrainUser], picker: Picker, seed: int) -> str:
    """Identifies everything that picks depend on beside a history."""
    shown = hashlib.sha256(picker.shown.tobytes()).hexdigest()
    return hashlib.sha256(repr((mllm.digest, how, users_of(train_users), shown, seed)).encode()).hexdigest()


def _stored(path: Path, known: Collection[str]) -> dict[str, list[str]]:
    """Of each history by its digest the digests of the pictures that were picked before; empty where there is no file.

    Raises:
        PrefbenchError: the file is damaged.
    """
    try:
        stored = pydantic.TypeAdapter(dict[str, list[str]]).validate_json(read_plain(path), strict=True)
    except FileNotFoundError:
        return {}
    except pydantic.ValidationError as error:
        raise PrefbenchError(f"{path} is damaged; delete it, and its pictures are picked anew") from error
    if not all(pictures and {*pictures} <= {*known} for pictures in stored.values()):
        raise PrefbenchError(f"{path} names other pictures; delete it, and its pictures are picked anew")
    return stored

"""Pictures to learn to draw: of some of one prompt, the one that a language model thinks the user likes best, or least.

The least liked are for users' opposites. What decides is the model's own verdicts (`Verdicts`), after all that a train
user judged, and the user's own words, where it is known what pictures show: no other scorer. Trainers of different
methods share this, so that all can be given the same targets.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

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
from .questions import Examples
from .verdicts import Verdicts


@dataclass(frozen=True)
class Picking:
    """How picks are made for one user: `prompts` prompts at random, of each the best of `candidates` pictures.

    A user's judgments are read in parts of at most `together`, each with both sides where there are any (so that a part
    may be longer where one side is short); the log-odds of the verdicts after each are averaged. The miniature learned
    to read 32 together. Log-odds are higher by `words` for each phrase that a picture shows and the user says to like,
    and lower by as much for each that the user says to dislike.
    """

    prompts: int = 12
    candidates: int = 16
    together: int = 24
    words: float = 1.0


PICKING, AT_A_GLANCE = Picking(), Picking(prompts=16, candidates=128)
"""Of a model whose pictures are one token each, a verdict costs little: the best of more is picked."""
_AT_ONCE, _FEW_AT_ONCE = 256, 16
"""Pictures that such a model, or any other, is asked about at once."""
_CERTAIN = 1e-6
"""Verdicts are taken to be no surer than this."""
_KEPT_EVERY_S = 60.0
"""Seconds after which picks are stored."""


def picking_by(mllm: Mllm) -> Picking:
    """How a model picks by default."""
    return AT_A_GLANCE if mllm.card.pooled else PICKING


class Picks(NamedTuple):
    """Rows of the pictures that a user likes best and least of those of each prompt."""

    best: list[int]
    least: list[int]


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
        self._shows = [frozenset(phrases) for phrases in shows or [()] * len(images)]
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, prompt in enumerate(prompts):
            self._rows[prompt].append(row)

    def __call__(
        self,
        history: History,
        *,
        how: Picking | None = None,
        seed: int = 0,
        without: Collection[int] = (),
        likes: Collection[str] = (),
        dislikes: Collection[str] = (),
    ) -> Picks:
        """One row of each kind per prompt. Candidates of a prompt that has few pictures are all of them.

        Args:
            how: by default that of `picking_by`.
            without: rows that are candidates only where a prompt has no others, such as those that the history shows.
            likes, dislikes: phrases that the user named.
        """
        how = how or picking_by(self._mllm)
        groups = self._candidates(history, how, seed, without)
        rows = [row for group in groups for row in group]
        odds = self._log_odds(history, [self._images[row] for row in rows], how.together)
        shown = [self._shows[row] for row in rows]
        odds = odds + how.words * np.array([len(one & {*likes}) - len(one & {*dislikes}) for one in shown])
        ends = np.cumsum([len(group) for group in groups])[:-1]
        parts = list(zip(groups, np.split(odds, ends), strict=True))
        return Picks(*([group[int(at(part))] for group, part in parts] for at in (np.argmax, np.argmin)))

    def _candidates(self, history: History, how: Picking, seed: int, without: Collection[int]) -> list[list[int]]:
        """Rows of the candidates of each prompt, at random by the history and the seed."""
        content = hashlib.sha256(f"{seed} {history.digest}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(content[:8]))
        names = sorted(self._rows)
        drawn = [self._rows[names[int(i)]] for i in rng.permutation(len(names))[: how.prompts]]
        left = [[row for row in group if row not in without] or group for group in drawn]
        return [[group[int(i)] for i in rng.permutation(len(group))[: how.candidates]] for group in left]

    def _log_odds(self, history: History, images: Sequence[Image.Image], together: int) -> FloatArray:
        """Log-odds (N,) that the user likes each image, a mean over the parts of a long history."""
        odds = []
        for part in parts_of(history, together):
            answer = self._verdicts.answer(part) if self._verdicts.reads_answers else ""
            yes = self._verdicts.after(Examples.of(part), answer, images).clip(_CERTAIN, 1 - _CERTAIN)
            odds.append(np.log(yes) - np.log1p(-yes))
        mean: FloatArray = np.mean(odds, axis=0)
        return mean

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
    """Rows of `judged_images` for each history: what the model picks for its user, of all that `train_users` judged.

    For a user's opposite it is what the user would like least.

    Where others remain, picks under a prompt that the history shows are left out, and pictures that the user judged are
    no candidates. What is picked for a user is kept in `folder`, and picked once.

    Raises:
        PrefbenchError: what was kept is damaged.
    """
    prompt_of = {j.picture.digest: j.prompt for one in train_users for j in judgments(one)}
    pool = list(prompt_of)
    place = {digest: i for i, digest in enumerate(pool)}
    images = [judged_images.images[judged_images.rows[digest]] for digest in pool]
    shows = {digest: phrases for one in train_users for digest, phrases in one.shows.items()}
    shown = [shows.get(digest, ()) for digest in pool]
    picker, how = Picker(mllm, images, list(prompt_of.values()), shown), picking_by(mllm)
    made_of = hashlib.sha256(repr((mllm.digest, how, users_of(train_users), seed, Picks._fields)).encode()).hexdigest()
    path = folder / f"picks-{made_of[:16]}.json"
    picked = _stored(path, prompt_of)
    wholes = {one.whole.digest: one.whole for one in histories}
    own = {
        one.history.user: {place[j.picture.digest] for j in (*one.history.liked, *one.history.disliked)}
        for one in train_users
    }
    words = {one.history.user: {"likes": one.likes, "dislikes": one.dislikes} for one in train_users}
    missing, stored_at = [digest for digest in wholes if digest not in picked], time.monotonic()
    for digest in tqdm(missing, desc="pick", unit="user", disable=not missing):
        whole = wholes[digest]
        rows = picker(whole, how=how, seed=seed, without=own.get(whole.user, ()), **words.get(whole.user, {}))
        picked[digest] = {kind: [pool[row] for row in of_kind] for kind, of_kind in rows._asdict().items()}
        if time.monotonic() - stored_at > _KEPT_EVERY_S or digest == missing[-1]:
            write_atomic(path, json.dumps(picked))
            stored_at = time.monotonic()
    wanted = [picked[one.whole.digest]["least" if one.opposite else "best"] for one in histories]
    chosen = [_not_shown(pictures, one.history, prompt_of) for pictures, one in zip(wanted, histories, strict=True)]
    return [[judged_images.rows[digest] for digest in pictures] for pictures in chosen]


_Stored = dict[str, dict[str, list[str]]]
"""Of each history by its digest: of each kind of `Picks`, the pictures by their digests."""


def _stored(path: Path, known: Collection[str]) -> _Stored:
    """What was picked before; nothing where there is no file.

    Raises:
        PrefbenchError: the file is damaged.
    """
    try:
        stored = pydantic.TypeAdapter(_Stored).validate_json(read_plain(path), strict=True)
    except FileNotFoundError:
        return {}
    except pydantic.ValidationError as error:
        raise PrefbenchError(f"{path} is damaged; delete it, and its pictures are picked anew") from error
    if not all(
        own.keys() == set(Picks._fields) and {*own["best"], *own["least"]} <= {*known} for own in stored.values()
    ):
        raise PrefbenchError(f"{path} names other pictures; delete it, and its pictures are picked anew")
    return stored


def parts_of(history: History, together: int) -> list[History]:
    """A history in equal parts of at most so many judgments, but each with both sides where it has any."""
    sides = history.liked, history.disliked
    n = max(1, -(-len(history) // together))
    while sum(-(-len(side) // n) for side in sides) > together:
        n += 1
    n = min([n, *(len(side) for side in sides if side)])
    return [History(history.user, *(side[i::n] for side in sides)) for i in range(n)]


def _not_shown(pictures: Sequence[str], history: History, prompt_of: Mapping[str, str]) -> list[str]:
    shown = {judgment.prompt for judgment in (*history.liked, *history.disliked)}
    return [digest for digest in pictures if prompt_of[digest] not in shown] or list(pictures)

"""Pictures to learn to draw: of some of one prompt, the one that a language model thinks the user likes best.

Nothing but the model's own verdicts decides (`Verdicts`), after all that a train user judged: no head, no teacher, no
other scorer. Trainers of different methods share this, so that all can be given the same targets.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from prefbench.api import FloatArray, History, TrainUser
from prefbench.files import write_atomic
from prefbench.models.mllms.model import Mllm

from ..ours.train.conversations import judgments, users_of
from ..ours.train.history_states import TrainingHistory
from ..ours.train.judged_images import JudgedImages, encode_images
from .questions import Examples
from .verdicts import Verdicts


@dataclass(frozen=True)
class Picking:
    """How picks are made for one user: `prompts` prompts at random, of each the best of `candidates` pictures.

    A user's judgments are read in parts of at most `together`, about as many as the model learned to read together;
    the log-odds of its verdicts are averaged.
    """

    prompts: int = 12
    candidates: int = 16
    together: int = 24


PICKING, AT_A_GLANCE = Picking(), Picking(prompts=16, candidates=128)
"""Of a model whose pictures are one token each, a verdict costs little: the best of more is picked."""
_AT_ONCE = 256
"""Pictures that such a model is asked about at once."""
_CERTAIN = 1e-6
"""Verdicts are taken to be no surer than this."""
_KEPT_EVERY = 50
"""Users after whom picks are stored."""


def picking_by(mllm: Mllm) -> Picking:
    """How a model picks by default."""
    return AT_A_GLANCE if mllm.card.pooled else PICKING


class Picker:
    """Picks among pictures that anybody judged. A history's picks depend on its judgments and the seed alone.

    Args:
        images: pictures, with the prompt of each.
        how: by default that of `picking_by`.
    """

    def __init__(
        self, mllm: Mllm, images: Sequence[Image.Image], prompts: Sequence[str], *, how: Picking | None = None
    ) -> None:
        self._mllm, self._images, self.how = mllm, images, picking_by(mllm) if how is None else how
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, prompt in enumerate(prompts):
            self._rows[prompt].append(row)

    def __call__(self, history: History, *, seed: int = 0, how: Picking | None = None) -> list[int]:
        """Rows of the images, one per prompt. Candidates of a prompt that has few pictures are all of them."""
        how = how or self.how
        groups = self._candidates(history, how, seed)
        likes = self._likes(history, [self._images[row] for group in groups for row in group], how.together)
        ends = np.cumsum([len(group) for group in groups])[:-1]
        best = [int(part.argmax()) for part in np.split(likes, ends)]
        return [group[place] for group, place in zip(groups, best, strict=True)]

    def _candidates(self, history: History, how: Picking, seed: int) -> list[list[int]]:
        """Rows of the candidates of each prompt."""
        content = hashlib.sha256(f"{seed} {history.digest}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(content[:8]))
        names = sorted(self._rows)
        drawn = [self._rows[names[int(i)]] for i in rng.permutation(len(names))[: how.prompts]]
        return [[group[int(i)] for i in rng.permutation(len(group))[: how.candidates]] for group in drawn]

    def _likes(self, history: History, images: Sequence[Image.Image], together: int) -> FloatArray:
        """Log-odds (N,) that the user likes each image, a mean over the parts of a long history."""
        n = max(1, -(-len(history) // together))
        parts = [History(history.user, history.liked[i::n], history.disliked[i::n]) for i in range(n)]
        odds = []
        for part in parts:
            answer = self._verdicts.answer(part) if self._verdicts.reads_answers else ""
            yes = self._verdicts.after(Examples.of(part), answer, images).clip(_CERTAIN, 1 - _CERTAIN)
            odds.append(np.log(yes) - np.log1p(-yes))
        mean: FloatArray = np.mean(odds, axis=0)
        return mean

    @cached_property
    def _verdicts(self) -> Verdicts:
        """Verdicts that know the image tokens of all images, where these are few enough to keep."""
        if not self._mllm.card.pooled:
            return Verdicts(self._mllm)
        tokens, rows = (
            encode_images(self._mllm, self._images)[1],
            {id(one): row for row, one in enumerate(self._images)},
        )
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

    Where others remain, picks under a prompt that the history shows are left out. What is picked for a user is kept in
    `folder`, and picked once.
    """
    prompt_of = {judged_images.row(j): j.prompt for one in train_users for j in judgments(one)}
    pool = list(prompt_of)
    picker = Picker(mllm, [judged_images.images[row] for row in pool], list(prompt_of.values()))
    made_of = hashlib.sha256(repr((mllm.digest, picker.how, users_of(train_users), seed)).encode()).hexdigest()
    path = folder / f"picks-{made_of[:16]}.json"
    own: dict[str, list[int]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    wholes = {one.whole.digest: one.whole for one in histories}
    missing = [digest for digest in wholes if digest not in own]
    for i, digest in enumerate(tqdm(missing, desc="pick", unit="user", disable=not missing), 1):
        own[digest] = [pool[i] for i in picker(wholes[digest], seed=seed)]
        if i % _KEPT_EVERY == 0 or i == len(missing):
            write_atomic(path, json.dumps(own))
    return [_not_shown(own[one.whole.digest], one.history, prompt_of) for one in histories]


def _not_shown(rows: Sequence[int], history: History, prompt_of: Mapping[int, str]) -> list[int]:
    shown = {judgment.prompt for judgment in (*history.liked, *history.disliked)}
    return [row for row in rows if prompt_of[row] not in shown] or list(rows)

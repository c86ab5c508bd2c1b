"""Pictures to learn to draw: of some of one prompt, the one that a language model thinks the user likes best.

Nothing but the model's own verdicts decides (`Verdicts`), after all that a train user judged: no head, no teacher, no
other scorer. Trainers of different methods share this, so that all can be given the same targets.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from prefbench.api import FloatArray, History, TrainUser
from prefbench.models.mllms.model import Mllm

from ..ours.train.conversations import judgments
from ..ours.train.history_states import TrainingHistory
from ..ours.train.judged_images import JudgedImages, encode_images
from .questions import Examples
from .verdicts import Seen, Verdicts


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


def picking_by(mllm: Mllm) -> Picking:
    """How a model picks by default."""
    return AT_A_GLANCE if mllm.card.pooled else PICKING


def targets_picked(
    mllm: Mllm,
    histories: Sequence[TrainingHistory],
    train_users: Sequence[TrainUser],
    judged_images: JudgedImages,
    *,
    seed: int,
) -> list[list[int]]:
    """Rows of `judged_images` for each history: what the model picks for its user, of all that `train_users` judged.

    Where others remain, picks under a prompt that the history shows are left out.
    """
    prompt_of = {judged_images.row(j): j.prompt for one in train_users for j in judgments(one)}
    pool = list(prompt_of)
    wholes = {one.whole.digest: one.whole for one in histories}
    images = [judged_images.images[row] for row in pool]
    chosen = picks(mllm, list(wholes.values()), images, list(prompt_of.values()), seed=seed)
    own = {digest: [pool[i] for i in rows] for digest, rows in zip(wholes, chosen, strict=True)}
    return [_not_shown(own[one.whole.digest], one.history, prompt_of) for one in histories]


def picks(
    mllm: Mllm,
    histories: Sequence[History],
    images: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    how: Picking | None = None,
    seed: int = 0,
) -> list[list[int]]:
    """Rows of `images` for each history, one per prompt.

    A history's picks depend on its judgments and the seed, not on the other histories. Candidates of a prompt that has
    fewer pictures are all of them.

    Args:
        images: pictures that anybody judged, with the prompt of each.
        how: by default that of `picking_by`.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        rows[prompt].append(row)
    how = picking_by(mllm) if how is None else how
    seen, chosen = _seen(mllm, images), []
    verdicts = Verdicts(mllm) if seen is None else Verdicts(mllm, batch=_AT_ONCE, seen=seen)
    for history in tqdm(histories, desc="pick", unit="user"):
        groups = _candidates(history, rows, how, seed)
        likes = _likes(verdicts, history, [images[row] for group in groups for row in group], how.together)
        ends = np.cumsum([len(group) for group in groups])[:-1]
        best = [int(part.argmax()) for part in np.split(likes, ends)]
        chosen.append([group[place] for group, place in zip(groups, best, strict=True)])
    return chosen


def _not_shown(rows: Sequence[int], history: History, prompt_of: Mapping[int, str]) -> list[int]:
    shown = {judgment.prompt for judgment in (*history.liked, *history.disliked)}
    return [row for row in rows if prompt_of[row] not in shown] or list(rows)


def _likes(verdicts: Verdicts, history: History, images: Sequence[Image.Image], together: int) -> FloatArray:
    """Log-odds (N,) that the user likes each image, a mean over the parts of a long history."""
    n = max(1, -(-len(history) // together))
    parts = [History(history.user, history.liked[i::n], history.disliked[i::n]) for i in range(n)]
    odds = []
    for part in parts:
        examples = Examples.of(part)
        answer = verdicts.answer(part) if verdicts.reads_answers else ""
        yes = verdicts.after(examples, answer, images).clip(_CERTAIN, 1 - _CERTAIN)
        odds.append(np.log(yes) - np.log1p(-yes))
    mean: FloatArray = np.mean(odds, axis=0)
    return mean


def _seen(mllm: Mllm, images: Sequence[Image.Image]) -> Seen | None:
    """The image tokens of images that are candidates again and again, where they are few enough to keep."""
    if not mllm.card.pooled:
        return None
    tokens, rows = encode_images(mllm, images)[1], {id(image): row for row, image in enumerate(images)}
    return lambda pictures: tokens[[rows[id(picture)] for picture in pictures]]


def _candidates(history: History, rows: dict[str, list[int]], how: Picking, seed: int) -> list[list[int]]:
    """Rows of the candidates of each prompt."""
    content = hashlib.sha256(f"{seed} {history.digest}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(content[:8]))
    names = sorted(rows)
    drawn = [rows[names[int(i)]] for i in rng.permutation(len(names))[: how.prompts]]
    return [[group[int(i)] for i in rng.permutation(len(group))[: how.candidates]] for group in drawn]

"""Pictures to learn to draw: of some of one prompt, the one that a language model thinks the user likes best.

Nothing but the model's own verdicts decides (`Verdicts`): no head, no teacher, no other scorer. Trainers of different
methods share this, so that all can be given the same targets.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from prefbench.api import History
from prefbench.models.mllms.model import Mllm

from ..ours.train.judged_images import encode_images
from .questions import TEMPLATES, Examples, likes_question
from .verdicts import Seen, Verdicts


@dataclass(frozen=True)
class Picking:
    """How picks are made for one history: `prompts` prompts at random, of each the best of `candidates` pictures."""

    prompts: int = 6
    candidates: int = 16


PICKING, AT_A_GLANCE = Picking(), Picking(candidates=64)
"""Of a model whose pictures are one token each, a verdict costs little: the best of more is picked."""
_AT_ONCE = 128
"""Pictures that such a model is asked about at once."""


def picking_by(mllm: Mllm) -> Picking:
    """How a model picks by default."""
    return AT_A_GLANCE if mllm.card.pooled else PICKING


def picks(
    mllm: Mllm,
    histories: Sequence[History],
    images: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    how: Picking | None = None,
    seed: int = 0,
    batch: int = 32,
) -> list[list[int]]:
    """Rows of `images` for each history, one per prompt.

    A history's picks depend on its judgments and the seed, not on the other histories. Candidates of a prompt that has
    fewer pictures are all of them; a prompt that the history shows is left out where others remain.

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
    for start in tqdm(range(0, len(histories), batch), desc="pick", unit="batch"):
        chunk = histories[start : start + batch]
        examples = [Examples.of(history) for history in chunk]
        answers = _answers(mllm, examples, batch) if verdicts.reads_answers else [""] * len(chunk)
        for history, one, answer in zip(chunk, examples, answers, strict=True):
            groups = _candidates(history, rows, how, seed)
            yes = verdicts.after(one, answer, [images[row] for group in groups for row in group])
            ends = np.cumsum([len(group) for group in groups])[:-1]
            best = [int(part.argmax()) for part in np.split(yes, ends)]
            chosen.append([group[place] for group, place in zip(groups, best, strict=True)])
    return chosen


def _seen(mllm: Mllm, images: Sequence[Image.Image]) -> Seen | None:
    """The image tokens of images that are candidates again and again, where they are few enough to keep."""
    if not mllm.card.pooled:
        return None
    tokens, rows = encode_images(mllm, images)[1], {id(image): row for row, image in enumerate(images)}
    return lambda pictures: tokens[[rows[id(picture)] for picture in pictures]]


def _answers(mllm: Mllm, examples: Sequence[Examples], batch: int) -> list[str]:
    """What the model says of what each user likes; of an empty history, nothing."""
    told = iter(mllm.answers([likes_question(one) for one in examples if one], batch=batch) if any(examples) else [])
    return [next(told) if one else TEMPLATES.nothing for one in examples]


def _candidates(history: History, rows: dict[str, list[int]], how: Picking, seed: int) -> list[list[int]]:
    """Rows of the candidates of each prompt."""
    content = hashlib.sha256(f"{seed} {history.digest}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(content[:8]))
    shown = {judgment.prompt for judgment in (*history.liked, *history.disliked)}
    names = sorted(set(rows) - shown) or sorted(rows)
    drawn = [rows[names[int(i)]] for i in rng.permutation(len(names))[: how.prompts]]
    return [[group[int(i)] for i in rng.permutation(len(group))[: how.candidates]] for group in drawn]

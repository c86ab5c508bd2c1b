"""Histories of train users as the frozen language model reads them, once for every training of the injection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from prefbench.api import TrainUser
from prefbench.models.mllms.model import Mllm

from ...shared.questions import Examples, likes_question
from ..vectors import Layers
from .conversations import Persona, Sizes, at_most
from .judged_images import JudgedImages


@dataclass(frozen=True)
class HistoryStates:
    """Histories that the language model has read: `e_sem` (H, .), `e_core` (H, .), and what each showed."""

    sem: Tensor
    core: Tensor
    last: Tensor
    """(H, W) the last layer's state at the last token."""
    shown: Sequence[Sequence[int]]
    """Rows of the liked pictures it showed; empty where it showed dislikes alone."""
    wanted: Sequence[Sequence[int]]
    """Rows of the liked pictures it did not show, or what stands for them."""
    likes: Sequence[str]
    """The user's liked phrases, joined by commas; empty where unknown."""

    def __len__(self) -> int:
        return len(self.sem)


def read_histories(
    mllm: Mllm,
    train_users: Sequence[TrainUser],
    judged_images: JudgedImages,
    layers: Layers,
    *,
    each: int = 8,
    flipped: float = 0.25,
    seed: int = 0,
    batch: int = 32,
) -> HistoryStates:
    """Reads `each` random histories of every user, a share of them with likes and dislikes exchanged."""
    rng = np.random.default_rng([seed, 77])
    histories = [_draw(train_user, judged_images, flipped, rng) for train_user in train_users for _ in range(each)]
    # Histories of about one size share a batch.
    order = sorted(range(len(histories)), key=lambda i: len(histories[i].liked) + len(histories[i].disliked))
    rows: list[tuple[Tensor, ...]] = [()] * len(histories)
    for start in tqdm(range(0, len(order), batch), desc="read histories", unit="batch"):
        chunk = order[start : start + batch]
        examples = [histories[i].shown(judged_images) for i in chunk]
        states = mllm.states([likes_question(s) for s in examples], batch=batch)
        for i, *row in zip(chunk, *layers.of(states), states.last[:, -1], strict=True):
            rows[i] = tuple(row)
    shown_rows, target_rows, likes = zip(*((d.liked, d.wanted, d.likes) for d in histories), strict=True)
    sem, core, last = (torch.stack(column) for column in zip(*rows, strict=True))
    return HistoryStates(sem, core, last, shown_rows, target_rows, likes)


class _History(NamedTuple):
    """A history to be read, as rows of the judged images."""

    liked: list[int]
    wanted: list[int]
    disliked: list[int]
    likes: str

    def shown(self, judged_images: JudgedImages) -> Examples:
        liked, disliked = (tuple(judged_images.images[row] for row in side) for side in (self.liked, self.disliked))
        return Examples(liked, disliked)


def _draw(train_user: TrainUser, judged_images: JudgedImages, flipped: float, rng: np.random.Generator) -> _History:
    persona = Persona.of(train_user, flipped=rng.random() < flipped)
    n_liked, n_disliked = Sizes().draw(rng)
    liked = [judged_images.row(persona.liked[int(i)]) for i in rng.permutation(len(persona.liked))]
    disliked = [judged_images.row(persona.disliked[int(i)]) for i in rng.permutation(len(persona.disliked))]
    n_liked = at_most(n_liked, liked)
    return _History(liked[:n_liked], liked[n_liked:], disliked[:n_disliked], ", ".join(persona.likes))

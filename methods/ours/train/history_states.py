"""Histories of train users as a frozen language model, or what stands for it, reads them: once for every training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from prefbench.api import History, Judgment, TrainUser

from ...shared.questions import Examples, likes_question
from ..vectors import HistoryReader, Layers
from .conversations import HELD_BACK, Sizes
from .injection_recipe import InjectionRecipe
from .judged_images import JudgedImages


@dataclass(frozen=True)
class HistoryStates:
    """Histories that have been read: `e_sem` (H, .), `e_core` (H, .), and what each showed."""

    sem: Tensor
    core: Tensor
    shown: Sequence[Sequence[int]]
    """Rows of the liked pictures it showed; empty where it showed dislikes alone."""
    wanted: Sequence[Sequence[int]]
    """Rows of the liked pictures it did not show, or what stands for them."""
    likes: Sequence[str]
    """The user's liked phrases, joined by commas; empty where unknown."""

    def __len__(self) -> int:
        return len(self.sem)


class TrainingHistory(NamedTuple):
    """A history to be read, and liked pictures of its user that it does not show."""

    history: History
    wanted: tuple[Judgment, ...]
    likes: str
    """The user's liked phrases, joined by commas."""


def draw_histories(train_users: Sequence[TrainUser], recipe: InjectionRecipe) -> list[TrainingHistory]:
    """`recipe.histories` random histories of every user, users in their order."""
    rng = np.random.default_rng([recipe.fit.seed, 77])
    return [_draw(train_user, recipe, rng) for train_user in train_users for _ in range(recipe.histories)]


def read_histories(
    reader: HistoryReader,
    histories: Sequence[TrainingHistory],
    judged_images: JudgedImages,
    layers: Layers,
    *,
    batch: int = 32,
) -> HistoryStates:
    """The states of histories; rows are those of `judged_images`."""
    # Histories of about one size share a batch.
    order = sorted(range(len(histories)), key=lambda i: len(histories[i].history))
    rows: list[tuple[Tensor, ...]] = [()] * len(histories)
    for start in tqdm(range(0, len(order), batch), desc="read histories", unit="batch"):
        chunk = order[start : start + batch]
        examples = [Examples.of(histories[i].history) for i in chunk]
        states = reader.states([likes_question(one) for one in examples], batch=batch)
        for i, *row in zip(chunk, *layers.of(states), strict=True):
            rows[i] = tuple(row)
    sem, core = (torch.stack(column) for column in zip(*rows, strict=True))
    shown = [[judged_images.row(judgment) for judgment in one.history.liked] for one in histories]
    wanted = [[judged_images.row(judgment) for judgment in one.wanted] for one in histories]
    return HistoryStates(sem, core, shown, wanted, [one.likes for one in histories])


def _draw(train_user: TrainUser, recipe: InjectionRecipe, rng: np.random.Generator) -> TrainingHistory:
    told = _flipped(train_user) if rng.random() < recipe.flipped else train_user
    n_liked, n_disliked = Sizes().draw(rng)
    if not recipe.dislikes:
        n_liked, n_disliked = n_liked or n_disliked, 0
    liked, disliked = (_shuffled(side, rng) for side in (told.history.liked, told.history.disliked))
    n_liked = min(n_liked, len(liked) - HELD_BACK)
    shown, rest = liked[:n_liked], liked[n_liked:]
    if recipe.shown == "pairs":
        disliked = _partners_first(shown, disliked)
        n_disliked = min(n_disliked, len(shown)) if shown else n_disliked
    history = History(told.history.user, shown, disliked[:n_disliked])
    return TrainingHistory(history, _targets(history, rest, recipe), ", ".join(told.likes))


def _flipped(train_user: TrainUser) -> TrainUser:
    """The opposite user, whose every judgment is reversed."""
    history = train_user.history
    opposite = History(history.user, history.disliked, history.liked)
    return TrainUser(opposite, train_user.dislikes, train_user.likes, train_user.shows)


def _shuffled(side: Sequence[Judgment], rng: np.random.Generator) -> tuple[Judgment, ...]:
    return tuple(side[int(i)] for i in rng.permutation(len(side)))


def _partners_first(shown: Sequence[Judgment], disliked: Sequence[Judgment]) -> tuple[Judgment, ...]:
    """The dislikes, those first that were judged in one pair with a picture that is shown, in its order."""
    place = {judgment.pair: i for i, judgment in enumerate(shown) if judgment.pair is not None}
    return tuple(sorted(disliked, key=lambda judgment: place.get(judgment.pair or "", len(place))))


def _targets(history: History, rest: Sequence[Judgment], recipe: InjectionRecipe) -> tuple[Judgment, ...]:
    """What is drawn after a history: a liked picture that it does not show."""
    targets = list(rest)
    if recipe.targets == "chosen":
        targets = [judgment for judgment in targets if judgment.pair is not None] or targets
    if recipe.shown == "pairs":
        prompts = {judgment.prompt for judgment in (*history.liked, *history.disliked)}
        targets = [judgment for judgment in targets if judgment.prompt not in prompts] or targets
    return tuple(targets)

"""`prefbench train prefdisc-like`: the first stage of `ours`, on users of the scorer split."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import torch
from accelerate import PartialState

from prefbench.api import History, PrefbenchError, Suite, TrainUser
from prefbench.files import WEIGHTS, write_atomic
from prefbench.models.folders import install_folder
from prefbench.models.loading import find_card
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.folders import card_of_folder
from prefbench.registry import default, load
from prefbench.run.environment import hardware, versions
from prefbench.score.scorer_figures import measure
from prefbench.training.requests import TrainRequest

from ..prefdisc_like import NAME, PrefdiscLike
from . import question_stage
from .conversations import HELD_BACK
from .judged_images import JudgedImages
from .question_recipe import MINIATURE, QuestionRecipe

_FURTHER = 1_000_000
"""Seed of the first further population, as for `preference`; methods learn from others."""


def train(
    request: TrainRequest,
    *,
    suite: Annotated[str, "suite"] = default("suite"),
    mllm: Annotated[str, "mllm"] = default("mllm"),
    populations: int = 4,
) -> dict[str, Any] | None:
    """Teaches the untrained miniature by the recipe of `ours` what scorer users judged; returns the card.

    `request.images` counts conversations; rows before them are shortened alike.

    Args:
        mllm: an untrained language model, or a folder to start from.
        populations: of a suite whose users follow from a seed: so many seeds, whose scorer users are all learned from.

    Raises:
        PrefbenchError: a suite without scorer users who judged enough; fewer populations than one.
    """
    if populations < 1:
        raise PrefbenchError(f"populations must be at least 1, got {populations}")
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    source, *further = _suites(suite, populations)
    users = [user for one in (source, *further) for user in scorer_users(one)]
    if not users:
        raise PrefbenchError(
            f"suite {source.card.name!r} has no scorer user with more than {HELD_BACK} likes and dislikes"
        )
    recipe = _recipe(request.images)
    model = question_stage.start(find_card("mllm", mllm, MllmCard, card_of_folder), request.folder)
    progress = question_stage.teach(model, users, JudgedImages(users), recipe, request.folder)
    if not PartialState().is_main_process:
        return None
    final = request.folder / "final"
    model.save(final)
    card = {
        "name": NAME,
        "licence": "Apache-2.0",
        "command": f"prefbench train {NAME} -p populations={populations} --images {recipe.questions.images}",
        "data": {"suite": source.card.name, "trained": "scorer", "users": len(users), "measured": "test"},
        "recipe": asdict(recipe),
        "training": {
            name: {"steps": one.step, "seen": one.images, "core_hours": round(one.core_s / 3600, 2)}
            for name, one in progress.items()
        },
        "hardware": hardware(),
        "versions": versions(),
        "figures": measure(PrefdiscLike(folder=str(final)), source).to_json(),
    }
    write_atomic(final / "card.json", json.dumps(card, indent=2) + "\n")
    if request.install:
        install_folder(final, WEIGHTS / NAME)
    return card


def scorer_users(suite: Suite) -> list[TrainUser]:
    """What scorer users judged in both views, of those who judged enough; no words are known of them."""
    users = []
    for user in suite.users("scorer"):
        views = suite.history(user.id, "method"), suite.history(user.id, "scorer")
        liked, disliked = (tuple(j for view in views for j in getattr(view, side)) for side in ("liked", "disliked"))
        if min(len(liked), len(disliked)) > HELD_BACK:
            users.append(TrainUser(History(user.id, liked, disliked)))
    return users


def _suites(name: str, populations: int) -> Sequence[Suite]:
    constructor = load("suite", name)
    if "population" not in inspect.signature(constructor).parameters:
        return [constructor()]
    return [constructor(), *(constructor(population=_FURTHER + i) for i in range(populations - 1))]


def _recipe(images: int | None) -> QuestionRecipe:
    return MINIATURE if images is None else MINIATURE.shortened(images / MINIATURE.questions.images)

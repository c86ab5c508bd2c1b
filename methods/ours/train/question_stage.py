"""The first stage of `prefbench train ours`: the language model learns preferences from questions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from prefbench.api import PrefbenchError, TrainUser
from prefbench.files import atomic_file
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.registry import Entry
from prefbench.training.loop import FitConfig, Progress, fit

from ...shared.questions import TEMPLATES
from .conversations import ConversationMaker, judgments, users_of
from .description_task import DescriptionRows, DescriptionTask
from .judged_images import JudgedImages
from .phrase_labels import PhraseLabels
from .question_batches import QuestionBatches
from .question_recipe import QuestionRecipe
from .question_task import QuestionTask
from .sorted_pictures import SortedPictures
from .verdict_task import VerdictRows, VerdictTask

IMAGE_TOKENS = "tokens.pt"


def start(card: MllmCard, folder: Path, *, device: str | None = None) -> Mllm:
    """The pretrained model, ready for training on preferences."""
    if card.untrained is None:
        torch.manual_seed(0)  # for fresh adapters
        return tune(load_mllm(card, device=device, four_bit=card.tuning == "qlora"))
    build = Entry("mllm", card.name, card.untrained).load()
    model, processor = build(TEMPLATES.texts(), folder / "reading")
    return Mllm(card, model, processor, folder=None, device=torch.device("cpu"))


def teach(
    mllm: Mllm, train_users: Sequence[TrainUser], judged_images: JudgedImages, recipe: QuestionRecipe, folder: Path
) -> dict[str, Progress]:
    """Trains in place, continuing from what `folder` holds; returns how far each training came, by name, in order.

    Raises:
        PrefbenchError: `folder` holds a training by another recipe, or on other judgments.
    """
    mllm.card = replace(mllm.card, history=recipe.history)
    if recipe.pooled:
        mllm.pool_pictures()
    if recipe.freeze_vision:
        freeze_vision(mllm)
    tower = load_image_tokens(mllm, judged_images, folder / IMAGE_TOKENS) if recipe.freeze_vision else None
    progress: dict[str, Progress] = {}
    phrases = PhraseLabels(train_users, judged_images.rows) if recipe.phrases and mllm.asks_phrases else None
    if phrases:
        mllm.ask_about(phrases.groups)
    if tower is not None and (recipe.describing or recipe.sorting or recipe.verdicts):
        progress |= _learn_from_rows(mllm, train_users, judged_images, recipe, tower, phrases, folder)
    verdicts = recipe.history == "verdicts"
    maker = ConversationMaker(
        judged_images.load,
        layout=recipe.history,
        questions=recipe.asked,
        flip=recipe.flip,
        paired=verdicts,
        shows=recipe.shows,
    )
    batches = QuestionBatches(
        mllm,
        train_users,
        judged_images,
        maker,
        recipe.sizes,
        pixels=not recipe.freeze_vision,
        verdicts=verdicts,
        full=recipe.full_histories,
        phrases=phrases,
    )
    task, made_of = QuestionTask(mllm, tower=tower), _identity(train_users, recipe)
    progress["questions"] = fit(task, batches, recipe.questions, folder / "questions", made_of=made_of)
    return progress


def _learn_from_rows(
    mllm: Mllm,
    train_users: Sequence[TrainUser],
    judged_images: JudgedImages,
    recipe: QuestionRecipe,
    tower: Tensor,
    phrases: PhraseLabels | None,
    folder: Path,
) -> dict[str, Progress]:
    """The trainings on rows of pictures; without any words for pictures none describes them."""
    prompts = [judgment.prompt for train_user in train_users for judgment in judgments(train_user)]
    task, rules = VerdictTask(mllm, tower), SortedPictures(tower, prompts)
    made_of, progress = _identity(train_users, recipe), {}
    described = DescriptionRows(mllm, train_users, judged_images)
    if recipe.describing is not None and described:
        place = folder / "describing"
        progress["describing"] = fit(DescriptionTask(mllm, tower), described, recipe.describing, place, made_of=made_of)
    for name, config, ruled in (("sorting", recipe.sorting, 1.0), ("verdicts", recipe.verdicts, recipe.ruled)):
        if config is not None:
            rows = VerdictRows(train_users, judged_images.rows, rules, flip=recipe.flip, ruled=ruled, phrases=phrases)
            progress[name] = fit(task, rows, config, folder / name, made_of=made_of)
    return progress


def _identity(train_users: Sequence[TrainUser], recipe: QuestionRecipe) -> str:
    """Identifies everything but the lengths, which a longer training may change: also which rows were learned from."""
    nothing, rows = FitConfig(images=0), ("describing", "sorting", "verdicts")
    learned = [name for name in rows if getattr(recipe, name) is not None]
    how = replace(recipe, questions=nothing, describing=None, sorting=None, verdicts=None)
    return hashlib.sha256(repr((how, learned, users_of(train_users))).encode()).hexdigest()


def freeze_vision(mllm: Mllm) -> None:
    """Vision tower and connector."""
    vision: Sequence[nn.Module] = (mllm.model.model.vision_model, mllm.model.model.connector)
    for module in vision:
        module.requires_grad_(False)


def load_image_tokens(mllm: Mllm, judged_images: JudgedImages, path: Path) -> Tensor:
    """The judged images' tokens by `encode_images`, loaded from `path` where it holds them.

    Raises:
        PrefbenchError: `path` holds another number of images.
    """
    with Accelerator().main_process_first():
        if not path.exists():
            with atomic_file(path) as temporary:
                torch.save(encode_images(mllm, judged_images.images).tokens, temporary)
    tokens: Tensor = torch.load(path, weights_only=True)
    if len(tokens) != len(judged_images.images):
        raise PrefbenchError(
            f"{path} is of {len(tokens)} pictures, this training of {len(judged_images.images)}; use another --out"
        )
    return tokens

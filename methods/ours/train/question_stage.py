"""The first stage of `prefbench train ours`: the language model learns preferences from questions."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from prefbench.api import PrefbenchError, TrainUser
from prefbench.files import atomic_file
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.registry import Entry
from prefbench.training.loop import FitConfig, Progress, fit

from ...shared.questions import TEMPLATES
from .conversations import ConversationMaker, judgments, users_of
from .curriculum.described_images import DescribedImages, whitened
from .curriculum.history_batches import HistorySource
from .curriculum.losses import CurriculumLosses
from .curriculum.preference_heads import PreferenceHeads
from .curriculum.sorted_pictures import SortedPictures
from .curriculum.synthetic_users import SyntheticUsers
from .curriculum.teacher import learn_teacher
from .description_task import DescriptionRows, DescriptionTask
from .judged_images import JudgedImages, encode_images
from .question_batches import Drawing, QuestionBatches
from .question_recipe import QuestionRecipe
from .question_task import QuestionTask
from .stored_names import recipe_text
from .verdict_task import VerdictRows, VerdictTask

logger = logging.getLogger(__name__)

IMAGE_STATES, HEADS = "seen.pt", "taste.pt"
_PRETRAINING = ("summary_pretraining", "gathering")
"""The folder of the first training, now and in version 0.1."""
_COMPONENTS = 192


def start(card: MllmCard, folder: Path, *, device: str | None = None) -> Mllm:
    """The pretrained model, ready for training on preferences."""
    if card.untrained is None:
        torch.manual_seed(0)  # for fresh adapters
        return tune(load_mllm(card, device=device, four_bit=card.tuning == "qlora"))
    build = Entry("mllm", card.name, card.untrained).load()
    model, processor = build(TEMPLATES.texts(), folder / "reading")
    return Mllm(card, model, processor, folder=None, device=torch.device("cpu"))


@dataclass(frozen=True)
class Curriculum:
    """Inputs computed from the judged images before the training; None for those that the recipe does not use."""

    tokens: Tensor | None = None
    """Image tokens, as of `encode_images`."""
    tower: Tensor | None = None
    """The same where they stand for pixels, since the vision tower is frozen."""
    described: DescribedImages | None = None
    synthetic: SyntheticUsers | None = None
    losses: CurriculumLosses | None = None


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
    plan = prepare_curriculum(mllm, train_users, judged_images, recipe, folder)
    task = QuestionTask(mllm, plan.losses, tower=plan.tower)

    def train(questions: int, config: FitConfig, stage_folder: Path, users: Drawing | None, share: float) -> Progress:
        shown = recipe.history
        maker = ConversationMaker(
            judged_images.load,
            layout=shown,
            questions=questions,
            flip=recipe.flip,
            paired=shown == "verdicts",
            shows=recipe.shows,
        )
        batches = QuestionBatches(
            mllm,
            train_users,
            judged_images,
            maker,
            recipe.sizes,
            pixels=not recipe.freeze_vision,
            verdicts=recipe.history == "verdicts",
            full=recipe.full_histories,
            synthetic=users,
            synthetic_share=share,
        )
        return fit(
            task, batches, config, stage_folder, made_of=_identity(train_users, replace(recipe, asked=questions))
        )

    usual = plan.synthetic, recipe.synthetic_share
    progress: dict[str, Progress] = {}
    if plan.tower is not None and (recipe.describing or recipe.sorting or recipe.verdicts):
        progress |= _learn_from_rows(mllm, train_users, judged_images, recipe, plan.tower, folder)
    if recipe.summary_pretraining is not None:
        pretraining = train(0, recipe.summary_pretraining, pretraining_folder(folder), *usual)
        progress["summary_pretraining"] = pretraining
    progress["questions"] = train(recipe.asked, recipe.questions, folder / "questions", *usual)
    heads = plan.losses.heads if plan.losses is not None else None
    if heads is not None and plan.described is not None and Accelerator().is_main_process:
        PreferenceHeads(heads.cpu(), plan.described).save(folder / HEADS)
    return progress


def _learn_from_rows(
    mllm: Mllm,
    train_users: Sequence[TrainUser],
    judged_images: JudgedImages,
    recipe: QuestionRecipe,
    tower: Tensor,
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
            rows = VerdictRows(train_users, judged_images.rows, rules, flip=recipe.flip, ruled=ruled)
            progress[name] = fit(task, rows, config, folder / name, made_of=made_of)
    return progress


def training_folder(name: str, folder: Path) -> Path:
    """Folder of one of the trainings that `teach` runs, within a stage's folder."""
    return pretraining_folder(folder) if name == "summary_pretraining" else folder / name


def pretraining_folder(folder: Path) -> Path:
    """Folder of the first training within a stage's folder; a training of version 0.1 keeps its old folder."""
    now, former = (folder / name for name in _PRETRAINING)
    return former if former.is_dir() else now


def prepare_curriculum(
    mllm: Mllm, train_users: Sequence[TrainUser], judged_images: JudgedImages, recipe: QuestionRecipe, folder: Path
) -> Curriculum:
    """Encodes each judged image once, describes it along directions that matter to users, and trains the teacher."""
    if not (recipe.freeze_vision or recipe.has_curriculum):
        return Curriculum()
    states, tokens = load_image_states(mllm, judged_images, folder / IMAGE_STATES)
    if not recipe.has_curriculum:
        return Curriculum(tokens, tokens if recipe.freeze_vision else None)
    logger.info("learning what %d users care about from their judgments", len(train_users))
    described = describe(train_users, judged_images, states, steps=recipe.metric_steps)
    synthetic = SyntheticUsers(train_users, described) if recipe.synthetic_share else None
    teacher = None
    if recipe.teacher_weight:
        source = HistorySource(train_users, judged_images.rows, described.features, synthetic)
        teacher = learn_teacher(source, steps=recipe.teacher_steps)
    losses = None
    if recipe.head_weight or teacher is not None:
        losses = CurriculumLosses(
            mllm.width,
            described.features,
            head_weight=recipe.head_weight,
            teacher=teacher,
            teacher_weight=recipe.teacher_weight,
        )
    return Curriculum(tokens, tokens if recipe.freeze_vision else None, described, synthetic, losses)


def _identity(train_users: Sequence[TrainUser], recipe: QuestionRecipe) -> str:
    """Identifies everything but the lengths, which a longer training may change: also which rows were learned from."""
    nothing, rows = FitConfig(images=0), ("describing", "sorting", "verdicts")
    learned = [name for name in rows if getattr(recipe, name) is not None]
    how = replace(recipe, summary_pretraining=None, questions=nothing, describing=None, sorting=None, verdicts=None)
    text = f"({recipe_text(how)}, {users_of(train_users)!r})" + (f" {learned}" if learned else "")
    return hashlib.sha256(text.encode()).hexdigest()


def describe(
    train_users: Sequence[TrainUser], judged_images: JudgedImages, states: Tensor, *, steps: int
) -> DescribedImages:
    """All judged images, by phrases and by directions that users care about; `states` as of `encode_images`."""
    components = whitened(states, _COMPONENTS)
    metric = learn_teacher(HistorySource(train_users, judged_images.rows, components), hidden=0, steps=steps).metric
    return DescribedImages.of(train_users, components, metric)


def freeze_vision(mllm: Mllm) -> None:
    """Vision tower and connector."""
    vision: Sequence[nn.Module] = (mllm.model.model.vision_model, mllm.model.model.connector)
    for module in vision:
        module.requires_grad_(False)


def load_image_states(mllm: Mllm, judged_images: JudgedImages, path: Path) -> tuple[Tensor, Tensor]:
    """The judged images' states by `encode_images`, loaded from `path` where it holds them.

    Raises:
        PrefbenchError: `path` holds another number of images.
    """
    with Accelerator().main_process_first():
        if not path.exists():
            with atomic_file(path) as temporary:
                torch.save(encode_images(mllm, judged_images.images), temporary)
    states, tokens = torch.load(path, weights_only=True)
    if len(states) != len(judged_images.images):
        raise PrefbenchError(
            f"{path} is of {len(states)} pictures, this training of {len(judged_images.images)}; use another --out"
        )
    return states, tokens

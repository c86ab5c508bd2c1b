"""The first stage of `prefbench train ours`: the language model learns preferences from questions."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from prefbench.api import PrefbenchError, TrainUser
from prefbench.files import atomic_file
from prefbench.models.mllms.cards import Layout, MllmCard
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.registry import Entry
from prefbench.training.loop import FitConfig, Progress, fit

from ...shared.questions import TEMPLATES
from .conversations import KINDS, ConversationMaker, Sizes, judgments, users_of
from .curriculum.described_images import DescribedImages, whitened
from .curriculum.history_batches import HistorySource
from .curriculum.losses import CurriculumLosses
from .curriculum.preference_heads import PreferenceHeads
from .curriculum.sorted_pictures import SortedPictures
from .curriculum.synthetic_users import SyntheticUsers
from .curriculum.teacher import learn_teacher
from .judged_images import JudgedImages, encode_images
from .question_batches import Drawing, QuestionBatches
from .question_task import QuestionTask
from .stored_names import recipe_text
from .verdict_task import VerdictRows, VerdictTask

logger = logging.getLogger(__name__)

IMAGE_STATES, HEADS = "seen.pt", "taste.pt"
_PRETRAINING = ("summary_pretraining", "gathering")
"""The folder of the first training, now and in version 0.1."""
_COMPONENTS = 192


@dataclass(frozen=True)
class QuestionRecipe:
    """How the language model is trained. `FitConfig.images` counts conversations here.

    Args:
        summary_pretraining: a first training on histories alone, with the curriculum; None leaves it out.
        asked: questions per conversation.
        kinds: see `ConversationMaker.shares`.
        flip: share of conversations with the opposite of a user.
        synthetic_share: share of conversations with synthetic users.
        head_weight, teacher_weight: weights of the curriculum's losses; 0 leaves them out.
        metric_steps, teacher_steps: steps of 64 users each; see `curriculum/teacher.py`.
        freeze_vision: whether vision tower and connector are frozen, so that each image is encoded once.
        history: how histories are shown. In `verdicts` the word after each of their images is taught too.
        full_histories: share of the batches whose histories are as long as can be.
        sorting, verdicts: first trainings on rows of pictures of one token each (`verdict_task.py`), sorted by hidden
            rules, without users, and then judged by users; None leaves them out. They need a frozen vision tower.
        ruled: share of the rows of `verdicts` that are still sorted by a rule.
        populations: so many other populations of the suite's train users are learned from as well, where it has any.
    """

    summary_pretraining: FitConfig | None
    questions: FitConfig
    sizes: Sizes = field(default_factory=Sizes)
    asked: int = 6
    kinds: tuple[float, float, float, float] = KINDS
    flip: float = 0.5
    synthetic_share: float = 0.6
    head_weight: float = 1.0
    teacher_weight: float = 1.0
    metric_steps: int = 1600
    teacher_steps: int = 4000
    freeze_vision: bool = True
    history: Layout = "blocks"
    full_histories: float = 0.0
    sorting: FitConfig | None = None
    verdicts: FitConfig | None = None
    ruled: float = 0.2
    populations: int = 0

    @property
    def has_curriculum(self) -> bool:
        """Whether there is more than the paper's questions: synthetic users, heads or a teacher."""
        return bool(self.synthetic_share or self.head_weight or self.teacher_weight)

    def shortened(self, share: float) -> QuestionRecipe:
        """The recipe with this share of the conversations in each training."""

        def shorter(fit: FitConfig) -> FitConfig:
            return replace(fit, images=max(1, round(share * fit.images)))

        names = ("summary_pretraining", "sorting", "verdicts")
        first = {name: shorter(fit) for name in names if (fit := getattr(self, name)) is not None}
        return replace(self, questions=shorter(self.questions), **first)


MINIATURE = QuestionRecipe(
    summary_pretraining=None,
    questions=FitConfig(images=8_000, batch=16, lr=5e-4, warmup_steps=50, ema=0.995, decay=0.5, save_every_s=120),
    sizes=Sizes(one_sided=0.15),
    asked=4,
    kinds=(0.5, 0.1, 0.1, 0.3),
    synthetic_share=0.0,
    head_weight=0.0,
    teacher_weight=0.0,
    history="verdicts",
    full_histories=0.7,
    sorting=FitConfig(
        images=24_000, batch=16, lr=7e-4, warmup_steps=100, weight_decay=0.05, decay=0.0, save_every_s=120
    ),
    verdicts=FitConfig(
        images=56_000, batch=16, lr=7e-4, warmup_steps=100, weight_decay=0.05, ema=0.998, decay=0.4, save_every_s=120
    ),
    populations=1,
)
"""Questions alone: no teacher, no heads, no synthetic users, and nothing of the world but what its train users say.

Before them come rows of examples: some that no user judged, which stand for what a public language model has read, and
some by users.
"""
WITH_TEACHER = QuestionRecipe(
    summary_pretraining=FitConfig(
        images=48_000, batch=16, lr=1.5e-3, warmup_steps=100, ema=0.998, decay=0.5, save_every_s=120
    ),
    questions=FitConfig(images=40_000, batch=16, lr=1e-3, warmup_steps=100, ema=0.998, decay=0.6, save_every_s=120),
    sizes=Sizes(one_sided=0.15),
)
"""What the shipped `mini-mllm` was trained by; it also learned from a teacher and from synthetic users."""
PREDECESSOR = QuestionRecipe(
    summary_pretraining=None,
    questions=FitConfig(images=48_000, batch=4, lr=1e-5, warmup_steps=1, weight_decay=0.01, decay=1.0),
    asked=1,
    flip=0.0,
    synthetic_share=0.0,
    head_weight=0.0,
    teacher_weight=0.0,
    freeze_vision=False,
)
"""After learn-user-pref (arXiv 2508.08220): LoRA of rank 8, a learning rate of 1e-5 without warm-up, one question each.

Its batch is 2 with 4 accumulated; here it is 4, and how many conversations make two epochs is ours.
"""


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
) -> list[Progress]:
    """Trains in place, continuing from what `folder` holds.

    Raises:
        PrefbenchError: `folder` holds a training by another recipe, or on other judgments.
    """
    mllm.card = replace(mllm.card, history=recipe.history)
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
            shares=recipe.kinds,
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
    progress = []
    if plan.tower is not None and (recipe.sorting or recipe.verdicts):
        progress += _learn_verdicts(mllm, train_users, judged_images, recipe, plan.tower, folder)
    if recipe.summary_pretraining is not None:
        progress.append(train(0, recipe.summary_pretraining, pretraining_folder(folder), *usual))
    progress.append(train(recipe.asked, recipe.questions, folder / "questions", *usual))
    heads = plan.losses.heads if plan.losses is not None else None
    if heads is not None and plan.described is not None and Accelerator().is_main_process:
        PreferenceHeads(heads.cpu(), plan.described).save(folder / HEADS)
    return progress


def _learn_verdicts(
    mllm: Mllm,
    train_users: Sequence[TrainUser],
    judged_images: JudgedImages,
    recipe: QuestionRecipe,
    tower: Tensor,
    folder: Path,
) -> list[Progress]:
    """The trainings on rows of pictures of one token each."""
    prompts = [judgment.prompt for train_user in train_users for judgment in judgments(train_user)]
    task, rules = VerdictTask(mllm, tower), SortedPictures(tower, prompts)
    progress = []
    for name, config, ruled in (("sorting", recipe.sorting, 1.0), ("verdicts", recipe.verdicts, recipe.ruled)):
        if config is not None:
            rows = VerdictRows(train_users, judged_images.rows, rules, flip=recipe.flip, ruled=ruled)
            progress.append(fit(task, rows, config, folder / name, made_of=_identity(train_users, recipe)))
    return progress


def trainings(recipe: QuestionRecipe, folder: Path) -> dict[str, Path]:
    """The trainings that `teach` runs by a recipe, in their order, by name, and their folders."""
    names = {
        "sorting": (recipe.sorting, folder / "sorting"),
        "verdicts": (recipe.verdicts, folder / "verdicts"),
        "summary_pretraining": (recipe.summary_pretraining, pretraining_folder(folder)),
        "questions": (recipe.questions, folder / "questions"),
    }
    return {name: place for name, (config, place) in names.items() if config is not None}


def pretraining_folder(folder: Path) -> Path:
    """Folder of the first training within a stage's folder; a training of version 0.1 keeps its old folder."""
    now, former = (folder / name for name in _PRETRAINING)
    return former if former.is_dir() else now


def prepare_curriculum(
    mllm: Mllm, train_users: Sequence[TrainUser], judged_images: JudgedImages, recipe: QuestionRecipe, folder: Path
) -> Curriculum:
    """Encodes each judged image once, describes it along directions that matter to users, and trains the teacher."""
    if not (recipe.freeze_vision or recipe.has_curriculum or recipe.sorting):
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
    """Identifies everything but the lengths, which a longer training may change."""
    how = replace(recipe, summary_pretraining=None, questions=FitConfig(images=0), sorting=None, verdicts=None)
    return hashlib.sha256(f"({recipe_text(how)}, {users_of(train_users)!r})".encode()).hexdigest()


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

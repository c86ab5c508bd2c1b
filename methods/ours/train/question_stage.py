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
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.registry import Entry
from prefbench.training.loop import FitConfig, Progress, fit

from ...shared.questions import TEMPLATES
from .conversations import ConversationMaker, Sizes, users_of
from .picks import Taste
from .practice import Described, SyntheticUsers, whitened
from .question_task import JudgedImages, QuestionBatches, QuestionTask, seen_by
from .teacher import learn_teacher

logger = logging.getLogger(__name__)

SEEN, TASTE = "seen.pt", "taste.pt"
_COMPONENTS = 192


@dataclass(frozen=True)
class QuestionRecipe:
    """How the language model is trained. `FitConfig.images` counts conversations here.

    Args:
        gathering: a first training on histories alone, with the teacher; None leaves it out.
        practised: share of practice users.
        metric_steps, teacher_steps: of 64 users each; see `teacher.learn_teacher`.
        frozen_eyes: whether vision tower and connector are frozen, so that each image is seen once.
    """

    gathering: FitConfig | None
    questions: FitConfig
    sizes: Sizes = field(default_factory=Sizes)
    asked: int = 6
    flip: float = 0.5
    practised: float = 0.6
    head_weight: float = 1.0
    teacher_weight: float = 1.0
    metric_steps: int = 1600
    teacher_steps: int = 4000
    frozen_eyes: bool = True

    @property
    def looks_once(self) -> bool:
        """Whether something needs to know before the training what the vision tower sees of every picture."""
        return bool(self.frozen_eyes or self.practised or self.head_weight or self.teacher_weight)

    def shortened(self, share: float) -> QuestionRecipe:
        """The recipe with that share of the conversations in each training."""
        gathering, questions = (
            None if fit is None else replace(fit, images=max(1, round(share * fit.images)))
            for fit in (self.gathering, self.questions)
        )
        assert questions is not None
        return replace(self, gathering=gathering, questions=questions)


MINIATURE = QuestionRecipe(
    gathering=FitConfig(images=48_000, batch=16, lr=1.5e-3, warmup_steps=100, ema=0.998, decay=0.5, save_every_s=120),
    questions=FitConfig(images=40_000, batch=16, lr=1e-3, warmup_steps=100, ema=0.998, decay=0.6, save_every_s=120),
    sizes=Sizes(one_sided=0.15),
)
PREDECESSOR = QuestionRecipe(
    gathering=None,
    questions=FitConfig(images=48_000, batch=4, lr=1e-5, warmup_steps=1, weight_decay=0.01, decay=1.0),
    asked=1,
    flip=0.0,
    practised=0.0,
    head_weight=0.0,
    teacher_weight=0.0,
    frozen_eyes=False,
)
"""After learn-user-pref (arXiv 2508.08220): LoRA of rank 8, a learning rate of 1e-5 without warm-up, one question each.

Its batch is 2 with 4 accumulated; here it is 4, and how many conversations make two epochs is ours.
"""


def start(card: MllmCard, folder: Path, *, device: str | None = None) -> Mllm:
    """The model that preferences are taught to, ready for training: one that reads images already."""
    if card.untrained is None:
        torch.manual_seed(0)  # for fresh adapters
        return tune(load_mllm(card, device=device, four_bit=card.tuning == "qlora"))
    build = Entry("mllm", card.name, card.untrained).load()
    model, processor = build(TEMPLATES.texts(), folder / "reading")
    return Mllm(card, model, processor, folder=None, device=torch.device("cpu"))


def teach(
    mllm: Mllm, train_users: Sequence[TrainUser], book: JudgedImages, recipe: QuestionRecipe, folder: Path
) -> list[Progress]:
    """Trains in place, continuing from what `folder` holds.

    Raises:
        PrefbenchError: `folder` holds a training by another recipe, or on other judgments.
    """
    if recipe.frozen_eyes:
        freeze_eyes(mllm)
    states, tokens = seen(mllm, book, folder / SEEN) if recipe.looks_once else (None, None)
    described, features, practice, teacher = None, None, None, None
    if states is not None:
        logger.info("what %d users care about is learned from their judgments", len(train_users))
        described = describe(train_users, book, states, steps=recipe.metric_steps)
        features, practice = described.features, SyntheticUsers(train_users, described) if recipe.practised else None
        if recipe.teacher_weight:
            teacher = learn_teacher(train_users, book.rows, features, practice, steps=recipe.teacher_steps)
    task = QuestionTask(
        mllm,
        features,
        head_weight=recipe.head_weight,
        tower=tokens if recipe.frozen_eyes else None,
        teacher=teacher,
        teacher_weight=recipe.teacher_weight,
    )

    def batches(asked: int) -> QuestionBatches:
        return QuestionBatches(
            mllm,
            train_users,
            book,
            ConversationMaker(book.load, questions=asked, flip=recipe.flip),
            recipe.sizes,
            pixels=not recipe.frozen_eyes,
            practice=practice,
            practised=recipe.practised,
        )

    progress = []
    if recipe.gathering is not None:
        made_of = _identity(train_users, replace(recipe, asked=0))
        progress.append(fit(task, batches(0), recipe.gathering, folder / "gathering", made_of=made_of))
    made_of = _identity(train_users, recipe)
    progress.append(fit(task, batches(recipe.asked), recipe.questions, folder / "questions", made_of=made_of))
    if task.heads is not None and described is not None and Accelerator().is_main_process:
        Taste(task.heads.cpu(), described).save(folder / TASTE)
    return progress


def _identity(train_users: Sequence[TrainUser], recipe: QuestionRecipe) -> str:
    """Of everything but the lengths, which a longer training may change."""
    how = replace(recipe, gathering=None, questions=FitConfig(images=0))
    return hashlib.sha256(repr((how, users_of(train_users))).encode()).hexdigest()


def describe(train_users: Sequence[TrainUser], book: JudgedImages, states: Tensor, *, steps: int) -> Described:
    """All judged pictures, by phrases and by directions that users care about; `states` as of `tuning.seen_by`."""
    components = whitened(states, _COMPONENTS)
    metric = learn_teacher(train_users, book.rows, components, None, hidden=0, steps=steps).metric
    return Described.of(train_users, components, metric)


def freeze_eyes(mllm: Mllm) -> None:
    """Vision tower and connector."""
    eyes: Sequence[nn.Module] = (mllm.model.model.vision_model, mllm.model.model.connector)
    for module in eyes:
        module.requires_grad_(False)


def seen(mllm: Mllm, book: JudgedImages, path: Path) -> tuple[Tensor, Tensor]:
    """What `tuning.seen_by` makes of the book's pictures, from `path` where it holds it.

    Raises:
        PrefbenchError: `path` holds another number of pictures.
    """
    with Accelerator().main_process_first():
        if not path.exists():
            with atomic_file(path) as temporary:
                torch.save(seen_by(mllm, book.images), temporary)
    states, tokens = torch.load(path, weights_only=True)
    if len(states) != len(book.images):
        raise PrefbenchError(
            f"{path} is of {len(states)} pictures, this training of {len(book.images)}; use another --out"
        )
    return states, tokens

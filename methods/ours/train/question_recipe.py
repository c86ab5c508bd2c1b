"""How the language model is trained: the recipes of the first stage."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from prefbench.models.mllms.cards import Layout
from prefbench.training.loop import FitConfig

from .conversations import ConversationMaker, Sizes


@dataclass(frozen=True)
class QuestionRecipe:
    """How the language model is trained. `FitConfig.images` counts conversations, of first trainings rows.

    Args:
        asked: questions per conversation.
        shows: share of the questions that ask what a picture shows.
        flip: share of conversations with the opposite of a user.
        freeze_vision: whether vision tower and connector are frozen, so that each image is encoded once.
        history: how histories are shown. In `verdicts` the word after each of their images is taught too.
        full_histories: share of the batches whose histories are as long as can be.
        pooled: whether each picture is shown as one token, from here on and in use; see `MllmCard.pooled`.
        describing: first training on rows of pictures and what they show (`description_task.py`); None leaves it out.
        sorting, verdicts: then trainings on rows of pictures (`verdict_task.py`), sorted by hidden rules, without
            users, and judged by users; None leaves them out. All three need a frozen vision tower.
        ruled: share of the rows of users' verdicts that are still sorted by a rule.
        phrases: whether phrases are asked about behind rows and histories, where users' likes are known in words
            (`phrase_labels.py`).
        populations: so many other populations of the suite's train users are learned from as well, where it has any.
    """

    questions: FitConfig
    sizes: Sizes = field(default_factory=Sizes)
    asked: int = 6
    shows: float = ConversationMaker.shows
    flip: float = 0.5
    freeze_vision: bool = True
    history: Layout = "blocks"
    full_histories: float = 0.0
    pooled: bool = False
    describing: FitConfig | None = None
    sorting: FitConfig | None = None
    verdicts: FitConfig | None = None
    ruled: float = 0.25
    phrases: bool = True
    populations: int = 0

    def shortened(self, share: float) -> QuestionRecipe:
        """The recipe with this share of the conversations in each training."""
        describing, sorting, verdicts = (
            None if fit is None else _shorter(fit, share) for fit in (self.describing, self.sorting, self.verdicts)
        )
        return replace(
            self,
            describing=describing,
            sorting=sorting,
            verdicts=verdicts,
            questions=_shorter(self.questions, share),
        )


def _shorter(fit: FitConfig, share: float) -> FitConfig:
    return replace(fit, images=max(1, round(share * fit.images)))


_ROWS = FitConfig(images=12_000, batch=16, lr=7e-4, warmup_steps=100, weight_decay=0.05, decay=0.0, save_every_s=120)
MINIATURE = QuestionRecipe(
    questions=FitConfig(images=12_000, batch=16, lr=5e-4, warmup_steps=50, ema=0.995, decay=0.5, save_every_s=120),
    sizes=Sizes(one_sided=0.15),
    asked=4,
    shows=0.25,
    history="verdicts",
    pooled=True,
    full_histories=0.7,
    describing=replace(_ROWS, images=8_000),
    sorting=_ROWS,
    verdicts=replace(_ROWS, images=48_000, ema=0.998, decay=0.4),
    populations=7,
)
"""Questions about what train users said, and nothing else of the world.

Before them come rows of examples: some that no user judged, which stand for what a public language model has read, and
some by users.
"""
PREDECESSOR = QuestionRecipe(
    questions=FitConfig(images=48_000, batch=4, lr=1e-5, warmup_steps=1, weight_decay=0.01, decay=1.0),
    asked=1,
    flip=0.0,
    freeze_vision=False,
)
"""After learn-user-pref (arXiv 2508.08220): LoRA of rank 8, a learning rate of 1e-5 without warm-up, one question each.

Its batch is 2 with 4 accumulated; here it is 4, and how many conversations make two epochs is ours.
"""

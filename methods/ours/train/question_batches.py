"""Batches of training conversations, with the curriculum's labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prefbench.api import TrainUser
from prefbench.models.mllms.conversation import images_of
from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.training.loop import Batch

from .conversations import ConversationMaker, Sizes, TrainingConversation, pick
from .judged_images import JudgedImages

Drawing = Callable[[np.random.Generator], TrainUser]
"""Draws somebody to talk about in place of a train user."""


class QuestionBatches:
    """Draws conversations with train users; those of a batch show histories of about one size.

    Args:
        queries: images per user that the heads are asked about.
        pixels: False leaves them out, where the task has the vision tower's image tokens.
        verdicts: whether a loss is taken on the word after each image of the history; needs the layout `verdicts`.
        full: share of the batches whose histories are as long as can be; the others are of random sizes.
        synthetic: draws other users, or rules, for that share of the conversations.
    """

    def __init__(
        self,
        mllm: Mllm,
        train_users: Sequence[TrainUser],
        judged_images: JudgedImages,
        maker: ConversationMaker,
        sizes: Sizes,
        *,
        queries: int = 24,
        pixels: bool = True,
        verdicts: bool = False,
        full: float = 0.0,
        synthetic: Drawing | None = None,
        synthetic_share: float = 0.0,
    ) -> None:
        self.synthetic, self.synthetic_share = synthetic, synthetic_share
        self.mllm, self.train_users, self.judged_images, self.queries = mllm, train_users, judged_images, queries
        self.maker, self.sizes, self.pixels = maker, sizes, pixels
        self.verdicts, self.full = verdicts, full

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        sizes = self._sizes(rng)
        examples = [self.maker(self._train_user(rng), rng, sizes) for _ in range(size)]
        conversations = [one.conversation for one in examples]
        batch: dict[str, Tensor] = self.mllm.training_batch(conversations, pixels=self.pixels)
        images = [(owner, image) for owner, c in enumerate(conversations) for image in images_of(c)]
        batch["owners"] = torch.tensor([owner for owner, _ in images])
        batch["shown"] = torch.tensor([self.judged_images.row_of_image(image) for _, image in images])
        batch["signs"] = torch.tensor([sign for one in examples for sign in one.signs])
        batch["image_answers"] = _single_image_answers(batch["labels"], examples)
        if self.verdicts:
            _teach_verdicts(batch, [sign for one in examples for sign in one.signs], self.mllm.tokenizer)
        likes = rng.random((size, self.queries)) < 0.5
        queries = [
            [self.judged_images.row(pick(one.rest[0 if like else 1], rng)) for like in row]
            for one, row in zip(examples, likes, strict=True)
        ]
        return batch | {"queries": torch.tensor(queries), "likes": torch.from_numpy(likes).float()}

    def _sizes(self, rng: np.random.Generator) -> tuple[int, int]:
        drawn = self.sizes.draw(rng)
        return (self.sizes.most, self.sizes.most) if self.full and rng.random() < self.full else drawn

    def _train_user(self, rng: np.random.Generator) -> TrainUser:
        if self.synthetic is not None and rng.random() < self.synthetic_share:
            return self.synthetic(rng)
        return pick(self.train_users, rng)


def _single_image_answers(labels: Tensor, conversations: Sequence[TrainingConversation]) -> Tensor:
    """Every yes or no about one image, (J, 3): conversation, column before the answer, image in the batch."""
    is_target = labels != IGNORED
    begins = is_target[:, 1:] & ~is_target[:, :-1]
    rows, images_before = [], 0
    for owner, one in enumerate(conversations):
        columns = torch.nonzero(begins[owner]).flatten().tolist()
        answers = zip(columns, one.judged, strict=True)
        rows += [(owner, column, images_before + image) for column, image in answers if image >= 0]
        images_before += len(one.signs)
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 3)


def _teach_verdicts(batch: dict[str, Tensor], signs: Sequence[int], tokenizer: Any) -> None:
    """Labels the word that follows each image of a history; between them stand at most tokens that end an image."""
    control = torch.tensor([*tokenizer.get_added_vocab().values()])
    ids, seen_at = batch["input_ids"].cpu(), batch["seen_at"].cpu()
    is_word = (seen_at < 0) & ~torch.isin(ids, control)
    for image, sign in enumerate(signs):
        if sign:
            row, last = torch.nonzero(seen_at == image)[-1].tolist()
            column = last + 1 + int(is_word[row, last + 1 :].int().argmax())
            batch["labels"][row, column] = batch["input_ids"][row, column]

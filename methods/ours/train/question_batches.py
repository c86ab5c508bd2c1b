"""Batches of training conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prefbench.api import TrainUser
from prefbench.models.mllms.conversation import images_of
from prefbench.models.mllms.model import Mllm
from prefbench.training.loop import Batch

from .conversations import ConversationMaker, Sizes
from .judged_images import JudgedImages
from .phrase_labels import PhraseLabels


class QuestionBatches:
    """Draws conversations with train users; those of a batch show histories of about one size.

    Args:
        pixels: False leaves them out, where the task has the vision tower's image tokens.
        verdicts: whether a loss is taken on the word after each image of the history; needs the layout `verdicts`.
        full: share of the batches whose histories are as long as can be; the others are of random sizes.
        phrases: draws phrases that are asked about behind each history, as in `VerdictRows`; None for none.
    """

    def __init__(
        self,
        mllm: Mllm,
        train_users: Sequence[TrainUser],
        judged_images: JudgedImages,
        maker: ConversationMaker,
        sizes: Sizes,
        *,
        pixels: bool = True,
        verdicts: bool = False,
        full: float = 0.0,
        phrases: PhraseLabels | None = None,
    ) -> None:
        self.mllm, self.train_users, self.judged_images = mllm, train_users, judged_images
        self.maker, self.sizes, self.pixels = maker, sizes, pixels
        self.verdicts, self.full, self.phrases = verdicts, full, phrases

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        sizes = self._sizes(rng)
        users = rng.integers(len(self.train_users), size=size).tolist()
        examples = [self.maker(self.train_users[user], rng, sizes) for user in users]
        conversations = [one.conversation for one in examples]
        batch: dict[str, Tensor] = self.mllm.training_batch(conversations, pixels=self.pixels)
        images = [image for conversation in conversations for image in images_of(conversation)]
        batch["shown"] = torch.tensor([self.judged_images.row_of_image(image) for image in images])
        if self.verdicts:
            _teach_verdicts(batch, [sign for one in examples for sign in one.signs], self.mllm.tokenizer)
        if self.phrases:
            told = [self.phrases.of_user(u, rng, flipped=one.flipped) for u, one in zip(users, examples, strict=True)]
            asked, preferred = (torch.from_numpy(np.stack(part)) for part in zip(*told, strict=True))
            after = self.mllm.after_histories(batch["input_ids"], [one.signs for one in examples])
            return batch | {"asked": asked, "preferred": preferred, "after": after}
        return batch

    def _sizes(self, rng: np.random.Generator) -> tuple[int, int]:
        drawn = self.sizes.draw(rng)
        return (self.sizes.most, self.sizes.most) if self.full and rng.random() < self.full else drawn


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

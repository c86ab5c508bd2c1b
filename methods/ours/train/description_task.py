"""Rows of pictures and what they show: where a fresh model learns words for pictures before it judges any.

A public language model can say what a picture shows. In conversations little is about that; here the words after each
picture are all that is taught.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.api import TrainUser
from prefbench.models.mllms.conversation import Part, ask
from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.training.frozen import store_trained_alone
from prefbench.training.loop import Batch

from ...shared.questions import TEMPLATES
from .conversations import judgments
from .judged_images import JudgedImages

PICTURES = 8
"""Pictures per row."""


class DescriptionRows:
    """Draws rows: the question what a picture shows, and pictures at random, each with its prompt and its phrases.

    Args:
        train_users: whose pictures they are; those of which no words are known are left out.
    """

    def __init__(self, mllm: Mllm, train_users: Sequence[TrainUser], judged_images: JudgedImages) -> None:
        self._mllm, self._images = mllm, judged_images
        self._pictures: list[tuple[int, str, tuple[str, ...]]] = [
            (judged_images.row(judgment), judgment.prompt, tuple(train_user.shows[judgment.picture.digest]))
            for train_user in train_users
            for judgment in judgments(train_user)
            if train_user.shows.get(judgment.picture.digest)
        ]

    def __len__(self) -> int:
        return len(self._pictures)

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        """The model's inputs without pixels, `labels` (B, tokens) and `shown` (B, 8) rows of images."""
        chosen = rng.integers(len(self._pictures), size=(size, PICTURES))
        rows = [self._parts([self._pictures[i] for i in row], rng) for row in chosen.tolist()]
        inputs = self._mllm.batch([[ask(*row)] for row in rows], to_be_answered=False, pixels=False)
        shown = torch.tensor([[self._pictures[i][0] for i in row] for row in chosen.tolist()])
        return inputs | {"labels": self._labels(inputs), "shown": shown}

    def _parts(self, pictures: Sequence[tuple[int, str, tuple[str, ...]]], rng: np.random.Generator) -> list[Part]:
        parts: list[Part] = [TEMPLATES.show[0].format(picture="").strip()]
        for row, prompt, phrases in pictures:
            words = [phrases[int(i)] for i in rng.permutation(len(phrases))]
            parts += [self._images.images[row], ", ".join([prompt, *words])]
        return parts

    def _labels(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The words after the pictures; all else `IGNORED`."""
        ids = inputs["input_ids"]
        shows = ids == self._mllm.model.config.image_token_id
        control = torch.tensor([*self._mllm.tokenizer.get_added_vocab().values()], device=ids.device)
        is_word = (shows.cumsum(1) > 0) & ~shows & ~torch.isin(ids, control)
        return torch.where(is_word, ids, IGNORED)


class DescriptionTask(nn.Module):
    """Cross-entropy of the words after each picture.

    Args:
        tower: image tokens (N, tokens, W) of all judged images.
    """

    def __init__(self, mllm: Mllm, tower: Tensor) -> None:
        super().__init__()
        self.model, self._tower = mllm.model, tower
        store_trained_alone(self)

    def forward(self, batch: Batch) -> Tensor:
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "shown")}
        tokens = self._tower[batch["shown"].flatten().to(self._tower.device)].to(self.model.device).float()
        seen = {"image": BaseModelOutputWithPooling(pooler_output=list(tokens))}
        logits = self.model(**inputs, mm_encoder_outputs=seen, use_cache=False).logits
        words = batch["labels"][:, 1:] != IGNORED
        return F.cross_entropy(logits[:, :-1][words].float(), batch["labels"][:, 1:][words])

"""Stage 1's loss: the language model answers questions about users, as in the paper."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.training.frozen import store_trained_alone
from prefbench.training.loop import Batch

_FIRST_WORD = 5.0
"""Weight of an answer's first word, yes or no; in an unweighted mean over words it hardly counts."""
_NOT_INPUTS = ("shown", "seen_at", "labels", "asked", "preferred", "after")
"""Entries of a batch that the language model does not take."""


class QuestionTask(nn.Module):
    """The language loss on the answers, and that of verdicts on phrases behind the history, where some are asked about.

    Batch: what `Mllm.training_batch` returns, with `shown` (I,), the row of each of its images among the judged ones;
    of phrases `asked`, `preferred` (B, 12) and `after` (B,), the column that they stand at.

    Args:
        tower: image tokens (N, tokens, W) of all judged images, from a frozen vision tower and connector, in place of
            pixels; None where these are run each time.
    """

    def __init__(self, mllm: Mllm, *, tower: Tensor | None = None) -> None:
        super().__init__()
        self.model, self._phrases = mllm.model, mllm.phrases(mllm.card.judged_phrases)
        self.tower = tower  # stays in main memory: it may be larger than an accelerator's
        store_trained_alone(self)

    def forward(self, batch: Batch) -> Tensor:
        inputs, labels = self._inputs(batch), batch["labels"]
        if "asked" not in batch:
            return _language_loss(self.model(**inputs, use_cache=False).logits, labels)
        inputs, ends = self._phrases.behind(self.model, inputs, batch["asked"], batch["after"])
        logits = self.model(**inputs, use_cache=False).logits
        return _language_loss(logits[:, : labels.shape[1]], labels) + self._phrases.loss(
            logits, ends, batch["preferred"]
        )

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        """The inputs of the language model."""
        inputs: dict[str, Any] = {name: value for name, value in batch.items() if name not in _NOT_INPUTS}
        if self.tower is not None:
            tokens = self.tower[batch["shown"].to(self.tower.device)].to(batch["input_ids"].device).float()
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=list(tokens))}
        return inputs


def _language_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of taught tokens, a mean in which those that begin an answer weigh `_FIRST_WORD` times.

    Args:
        logits: (B, tokens, V).
        labels: (B, tokens).
    """
    is_target = labels[:, 1:] != IGNORED
    begins = is_target & (labels[:, :-1] == IGNORED)
    weights = is_target + (_FIRST_WORD - 1.0) * begins
    by_class = logits[:, :-1].float().transpose(1, 2)
    losses = F.cross_entropy(by_class, labels[:, 1:], ignore_index=IGNORED, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1.0)

"""Stage 1's loss: the language model answers questions about users, as in the paper.

A model with random weights also needs the curriculum of `curriculum/losses.py`.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.training.frozen import store_trained_alone
from prefbench.training.loop import Batch

from .curriculum.losses import CurriculumLosses

_FIRST_WORD = 5.0
"""Weight of an answer's first word, yes or no; in an unweighted mean over words it hardly counts."""
_NOT_INPUTS = ("queries", "likes", "shown", "opened", "signs", "owners", "seen_at", "labels", "image_answers")
"""Entries of a batch that the language model does not take."""


class QuestionTask(nn.Module):
    """The language loss on the answers, plus the curriculum's losses on the states.

    Batch: what `Mllm.training_batch` returns, with `queries` (B, Q) rows of judged images and `likes` (B, Q) in {0, 1};
    and of each of the I images `shown` (I,) its row, `signs` (I,) as in `TrainingConversation`, `owners` (I,) its
    conversation; and `image_answers` (J, 3) of each yes or no about one image: conversation, column before the answer,
    and its image.

    Args:
        curriculum: None to learn from answers alone.
        tower: image tokens (N, tokens, W) of all judged images, from a frozen vision tower and connector, in place of
            pixels; None where these are run each time.
    """

    def __init__(self, mllm: Mllm, curriculum: CurriculumLosses | None = None, *, tower: Tensor | None = None) -> None:
        super().__init__()
        self.model, self.curriculum = mllm.model, curriculum
        self.tower = tower  # stays in main memory: it may be larger than an accelerator's
        self.terms: tuple[float, ...] = ()
        store_trained_alone(self)
        self.register_load_state_dict_pre_hook(_accept_former_names)  # type: ignore[no-untyped-call]

    def forward(self, batch: Batch) -> Tensor:
        wants_states = self.curriculum is not None
        out = self.model(**self._inputs(batch), use_cache=False, output_hidden_states=wants_states)
        loss = _language_loss(out.logits, batch["labels"])
        terms = [loss]
        if self.curriculum is not None:
            for weight, errors in self.curriculum(batch, out.hidden_states[-1].float()):
                loss = loss + weight * sum(errors)
                terms += errors
        self.terms = tuple(term.item() for term in terms)
        return loss

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


def _accept_former_names(task: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:  # noqa: ARG001
    """In checkpoints of version 0.1 the curriculum's layers stood beside the model."""
    for name in list(state):
        if name.removeprefix(prefix).startswith(("heads.", "followers.", "judge.")):
            state[f"{prefix}curriculum.{name.removeprefix(prefix)}"] = state.pop(name)

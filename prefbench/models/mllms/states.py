"""Hidden states of a batch of conversations, and how those of a conversation's tokens are made one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class HiddenStates:
    """Hidden states of a batch, embedding layer first: (B, layers + 1, width), float32 on the CPU."""

    last: Tensor
    """At the last token, from which the answer begins."""
    mean: Tensor
    """The mean over all tokens."""
    contrast: Tensor
    """The mean over the tokens of liked images less that over those of disliked ones; 0 for a side without images."""
    phrases: Tensor | None = None
    """The mean over the model's phrases of the state at the end of each, times its verdict; None without phrases."""
    verdicts: Tensor | None = None
    """(B, P), of the phrases: P(liked) - P(disliked), in [-1, 1]; None without phrases."""

    @classmethod
    def of(cls, layers: Sequence[Tensor], mask: Tensor, sides: Tensor) -> HiddenStates:
        """From the states (B, tokens, width) of every layer, padded on the left.

        Args:
            mask: (B, tokens), 0 for padding.
            sides: (B, tokens), of `side_weights`.
        """
        weights = mask.float() / mask.sum(1, keepdim=True)
        pooled = [
            (layer[:, -1].float(), _weighted(weights, layer.float(), mask), _weighted(sides, layer.float(), mask))
            for layer in layers
        ]
        return cls(*(torch.stack(column, 1).cpu() for column in zip(*pooled, strict=True)))

    def with_phrases(self, layers: Sequence[Tensor], verdicts: Tensor) -> HiddenStates:
        """The same with phrases, of which `layers` are the states (B, P, width) and `verdicts` (B, P) are known."""
        means = [torch.einsum("bp,bpw->bw", verdicts, layer.float()) / verdicts.shape[1] for layer in layers]
        return replace(self, phrases=torch.stack(means, 1).cpu(), verdicts=verdicts.cpu())

    @classmethod
    def joined(cls, batches: Sequence[HiddenStates]) -> HiddenStates:
        """The states of all batches, in their order."""
        last, mean, contrast = zip(*((one.last, one.mean, one.contrast) for one in batches), strict=True)
        whole = cls(torch.cat(last), torch.cat(mean), torch.cat(contrast))
        told = [(one.phrases, one.verdicts) for one in batches if one.phrases is not None and one.verdicts is not None]
        if not told:
            return whole
        phrases, verdicts = zip(*told, strict=True)
        return replace(whole, phrases=torch.cat(phrases), verdicts=torch.cat(verdicts))

    def __len__(self) -> int:
        return len(self.last)


def side_weights(signs: Sequence[int], seen_at: Tensor) -> Tensor:
    """Weights (B, tokens) of the contrast: 1 / n at the n tokens of liked images, -1 / n at those of disliked ones.

    Args:
        signs: of every image of the batch: 1 liked, -1 disliked, 0 neither.
        seen_at: (B, tokens) the image that a token stands for; -1 for text.
    """
    of_tokens = torch.tensor([0, *signs], device=seen_at.device)[seen_at + 1]
    sides = [(of_tokens == sign).float() for sign in (1, -1)]
    liked, disliked = (side / side.sum(1, keepdim=True).clamp(min=1) for side in sides)
    return liked - disliked


def _weighted(weights: Tensor, layer: Tensor, mask: Tensor) -> Tensor:
    """The weighted sum (B, width) over tokens; padding may hold anything, also nan."""
    return torch.einsum("bt,btw->bw", weights, layer.masked_fill(mask[..., None] == 0, 0))


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Context without dropout and gradients, also in the middle of training."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)

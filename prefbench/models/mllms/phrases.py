"""Phrases that a language model judges after a history as it judges pictures: by the word that follows, liked or not.

All phrases are asked about in one pass: each sees the history and itself alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from prefbench.models.mllms.chat import ChatRenderer
from prefbench.models.mllms.conversation import Judged, ask
from prefbench.models.mllms.endings import packed

_LIKED, _DISLIKED = Judged.words


class Phrases:
    """Phrases as tokens, for rows of one model.

    Args:
        renderer: of the model.
        phrases: P of them.
    """

    def __init__(self, renderer: ChatRenderer, phrases: Sequence[str]) -> None:
        rows = [_tokens_of(renderer, phrase) for phrase in phrases]
        self._words = [_tokens_of(renderer, word)[0] for word in (_DISLIKED, _LIKED)]
        self.last = torch.tensor([len(row) - 1 for row in rows], dtype=torch.long)
        self.tokens = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.long)
        for i, row in enumerate(rows):
            self.tokens[i, : len(row)] = torch.tensor(row)

    def behind(
        self, model: Any, inputs: Mapping[str, Tensor], asked: Tensor, seen: Tensor
    ) -> tuple[dict[str, Any], Tensor]:
        """Inputs of a model that `reads_side_by_side`, with phrases behind its rows, and where each ends (B, K).

        Args:
            inputs: `input_ids` (B, L), and as in `packed` the `attention_mask`; other entries stay as they are.
            asked: (B, K) which phrases each row is asked about.
            seen: (B,) the column of its row that a phrase stands at.
        """
        device, rows = inputs["input_ids"].device, inputs["input_ids"]
        endings = self.tokens.to(device)[asked]
        begins = rows.shape[1] + torch.arange(asked.shape[1], device=device) * endings.shape[2]
        both = packed(model, rows, endings, seen, inputs.get("attention_mask"))
        return {**inputs, **both}, begins + self.last.to(device)[asked]

    def behind_all(self, model: Any, inputs: Mapping[str, Tensor], seen: Tensor) -> tuple[dict[str, Any], Tensor]:
        """The same with all phrases behind every row, so that they end at the same columns (P,)."""
        asked = torch.arange(len(self.tokens), device=seen.device).expand(len(seen), -1)
        both, ends = self.behind(model, inputs, asked, seen)
        return both, ends[0]

    def verdicts(self, logits: Tensor) -> Tensor:
        """P(liked) - P(disliked), in [-1, 1], from logits (..., V) at the ends of phrases, between the two words."""
        disliked, liked = logits[..., self._words].float().softmax(-1).unbind(-1)
        return liked - disliked

    def loss(self, logits: Tensor, ends: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy between the two words at the ends of phrases; 0 where none is labelled.

        Args:
            logits: (B, L, V).
            ends: (B, K) of `behind`.
            labels: (B, K), how far each is liked: in [0, 1], nan for phrases without a label.
        """
        at_ends = logits[..., self._words].float().gather(1, ends[..., None].expand(-1, -1, 2))
        is_labelled, odds = ~labels.isnan(), at_ends[..., 1] - at_ends[..., 0]
        losses = F.binary_cross_entropy_with_logits(odds[is_labelled], labels[is_labelled], reduction="sum")
        return losses / is_labelled.sum().clamp(min=1)


def _tokens_of(renderer: ChatRenderer, phrase: str) -> list[int]:
    """What a conversation has more with the phrase in it, behind a word, like that of a history's last picture."""
    without, with_it = (
        [token.id for token in renderer.tokens([ask(*parts)])] for parts in ((_LIKED,), (_LIKED, phrase))
    )
    more = len(with_it) - len(without)
    differ = (one != other for one, other in zip(without, with_it, strict=False))
    begin = next((i for i, is_other in enumerate(differ) if is_other), len(without))
    return with_it[begin : begin + more]


def after_histories(ids: Tensor, seen_at: Tensor, images: Sequence[Sequence[int]], skipped: Collection[int]) -> Tensor:
    """The column (B,) behind the word that follows each row's last image of a history; 0 without any.

    Args:
        ids: (B, L).
        seen_at: (B, L) the image that a token stands for, counted over all rows; -1 for text.
        images: per row, the sign of each of its images: 1 or -1 in a history, 0 beside it.
        skipped: tokens that may stand between an image and its word.
    """
    columns, before = [], 0
    is_word = ~torch.isin(ids, torch.tensor([*skipped], device=ids.device))
    for row, signs in enumerate(images):
        shown = [before + i for i, sign in enumerate(signs) if sign]
        before += len(signs)
        if not shown:
            columns.append(0)
            continue
        last = int(torch.nonzero(seen_at[row] == shown[-1])[-1])
        columns.append(last + 2 + int(is_word[row, last + 1 :].int().argmax()))
    return torch.tensor(columns, device=ids.device)

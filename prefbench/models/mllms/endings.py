"""Many endings of one conversation: in rows with a shared KV cache, or packed into the conversation's own row.

Packed, each ending sees the conversation and itself alone, by a block-diagonal mask, and nothing is read twice.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def reads_side_by_side(model: Any) -> bool:
    """Whether the layers of its language model take masks of ours: they say which are local, or none is."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return getattr(config, "sliding_window", None) is None
    return set(kinds) <= {"full_attention", "sliding_attention"}


class Beginning:
    """What all endings follow, read once.

    Args:
        model: a language model, in evaluation.
        begun: inputs of one row, unpadded.
    """

    @torch.no_grad()
    def __init__(self, model: Any, begun: Mapping[str, Tensor]) -> None:
        self._model, self._length = model, begun["input_ids"].shape[1]
        self._cache = model(**begun, use_cache=True, logits_to_keep=1).cache

    @torch.no_grad()
    def in_rows(self, ending: Tensor, many: int, **seen: Any) -> Tensor:
        """Logits (N, V) at the end of each of N endings.

        Args:
            ending: tokens (T,) of an ending; endings differ in their images alone.
            many: N.
            seen: further inputs, such as their images' pixels.
        """
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(many)
        mask = torch.ones(many, self._length + len(ending), dtype=torch.long, device=ending.device)
        tail = {"input_ids": ending.repeat(many, 1), "attention_mask": mask}
        logits: Tensor = self._model(**tail, **seen, cache=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        return logits

    @torch.no_grad()
    def side_by_side(self, ending: Tensor, many: int, **seen: Any) -> Tensor:
        """The same, of a model that `reads_side_by_side`."""
        begin, length = self._length, len(ending)
        places = torch.arange(begin, begin + length, device=ending.device).repeat(many)
        ends = torch.arange(length - 1, many * length, length, device=ending.device)
        own = torch.arange(many, device=ending.device).repeat_interleave(length)
        before = torch.arange(begin, device=ending.device)
        keys = torch.cat([torch.full_like(before, BEGINNING), own]), torch.cat([before, places])
        out = self._model(
            input_ids=ending.repeat(many)[None],
            attention_mask=masks(self._model, (own, places), keys, torch.tensor([begin], device=ending.device), begin),
            position_ids=places[None],
            cache=copy.deepcopy(self._cache),
            use_cache=True,
            logits_to_keep=ends,
            **seen,
        )
        logits: Tensor = out.logits[0]
        return logits


BEGINNING = -1
"""The number of the ending that a token of the beginning belongs to."""


def packed(
    model: Any, rows: Tensor, endings: Tensor, seen: Tensor, attention_mask: Tensor | None = None
) -> dict[str, Any]:
    """Inputs of rows with their endings packed behind them, of a model that `reads_side_by_side`.

    Args:
        rows: tokens (B, L).
        endings: tokens (B, K, T), shorter ones padded on the right.
        seen: (B,) the column of its row that an ending stands at: it sees what is before.
        attention_mask: (B, L), 0 for padding on the left; None without any.

    Returns:
        `input_ids` (B, L + K T), `position_ids` and `attention_mask`.
    """
    (batch, length), (_, many, each) = rows.shape, endings.shape
    device = rows.device
    own = torch.cat([
        torch.full((length,), BEGINNING, device=device),
        torch.arange(many, device=device).repeat_interleave(each),
    ])  # fmt: skip
    behind = (seen[:, None] + torch.arange(each, device=device)).repeat(1, many)
    places = torch.cat([torch.arange(length, device=device).expand(batch, -1), behind], 1)
    return {
        "input_ids": torch.cat([rows, endings.flatten(1)], 1),
        "position_ids": places,
        "attention_mask": masks(model, (own, places), (own, places), seen, padding=attention_mask),
    }


def masks(
    model: Any,
    queries: tuple[Tensor, Tensor],
    keys: tuple[Tensor, Tensor],
    seen: Tensor,
    cached: int = 0,
    padding: Tensor | None = None,
) -> Tensor | dict[str, Tensor]:
    """What tokens see, as additive attention masks (B, 1, Q, K) for the kinds of layers that a model has.

    Args:
        queries, keys: of their tokens, the ending that each belongs to, (Q,) and (K,), and its place, (B, Q) and (B, K)
            or without B where all rows are alike.
        seen: (B,) how many tokens of the beginning endings see.
        cached: how many of the keys are in a cache; that of local layers holds the last ones alone.
        padding: (B, L), 0 for padding on the left of the beginning.
    """
    (own, at), (whose, where) = queries, keys
    at, where = at.expand(len(seen), -1), where.expand(len(seen), -1)
    first = 0 if padding is None else (1 - padding).sum(1, keepdim=True)
    is_padding = (whose == BEGINNING) & (where < first)
    of_beginning = (whose == BEGINNING) & (where < seen[:, None])
    alike = own[:, None] == whose[None]
    everything = (alike[None] | of_beginning[:, None]) & (at[:, :, None] >= where[:, None]) & ~is_padding[:, None]
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return _additive(everything, model.dtype)
    window = getattr(config, "sliding_window", None) or int(at.max()) + 1
    local = everything & (at[:, :, None] - where[:, None] < window)
    visible = {"full_attention": everything, "sliding_attention": local[..., max(0, cached - (window - 1)) :]}
    return {kind: _additive(visible[kind], model.dtype) for kind in set(kinds)}


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]

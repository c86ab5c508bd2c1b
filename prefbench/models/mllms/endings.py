"""Many endings of one conversation, a shared prefix with one KV cache: in rows, or packed into a single row.

Packed, each ending sees the prefix and itself alone by a block-diagonal attention mask, and the cache is not copied for
each of them.
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
    """What all rows begin with, read once.

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
        out = self._model(
            input_ids=ending.repeat(many)[None],
            attention_mask=_masks(self._model, begin, length, places),
            position_ids=places[None],
            cache=copy.deepcopy(self._cache),
            use_cache=True,
            logits_to_keep=ends,
            **seen,
        )
        logits: Tensor = out.logits[0]
        return logits


def _masks(model: Any, begin: int, length: int, places: Tensor) -> Tensor | dict[str, Tensor]:
    """What each token of the endings sees (1, 1, N T, begin + N T); of local layers, whose caches are short, less."""
    config, rows = model.config.get_text_config(), len(places)
    own = torch.arange(rows, device=places.device) // length
    past = places.new_ones(rows, begin, dtype=torch.bool)
    among = (own[:, None] == own[None]) & (places[:, None] >= places[None])
    everything = torch.cat([past, among], 1)
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return _additive(everything, model.dtype)
    window = getattr(config, "sliding_window", None) or begin + length
    keys = torch.cat([torch.arange(begin, device=places.device), places])
    local = everything & (places[:, None] - keys[None] < window)
    n_past = min(begin, window - 1)
    masks = {"full_attention": everything, "sliding_attention": local[:, begin - n_past :]}
    return {kind: _additive(masks[kind], model.dtype) for kind in set(kinds)}


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """As an additive attention mask."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]

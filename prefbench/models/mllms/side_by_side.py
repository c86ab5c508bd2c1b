"""Many endings of one conversation in a single row: each sees what they begin with, and itself, as if it stood alone.

A row is read once where a batch of whole rows would copy the keys and values of their beginning for each of them.
"""

from __future__ import annotations

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


@torch.no_grad()
def last_logits(
    model: Any, begun: Mapping[str, Tensor], ending: Tensor, many: int, seen: Mapping[str, Any], words: list[int]
) -> Tensor:
    """Logits (N, words) at the end of each ending, float32 on the CPU.

    Args:
        model: one that `reads_side_by_side`.
        begun: inputs of the one row that all begin with, unpadded.
        ending: tokens (T,) of an ending; endings differ in their images alone.
        many: N, how many endings there are.
        seen: further inputs, such as what the vision tower makes of their images.
        words: the tokens whose logits are returned.
    """
    cache = model(**begun, use_cache=True, logits_to_keep=1).cache
    begin, length = begun["input_ids"].shape[1], len(ending)
    places = torch.arange(begin, begin + length, device=ending.device).repeat(many)
    ends = torch.arange(length - 1, many * length, length, device=ending.device)
    out = model(
        input_ids=ending.repeat(many)[None],
        attention_mask=_masks(model, begin, length, places),
        position_ids=places[None],
        cache=cache,
        use_cache=True,
        logits_to_keep=ends,
        **seen,
    )
    logits: Tensor = out.logits[0].float()[:, words].cpu()
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
        return _added(everything, model.dtype)
    window = getattr(config, "sliding_window", None) or begin + length
    keys = torch.cat([torch.arange(begin, device=places.device), places])
    local = everything & (places[:, None] - keys[None] < window)
    kept = min(begin, window - 1)
    masks = {"full_attention": everything, "sliding_attention": local[:, begin - kept :]}
    return {kind: _added(masks[kind], model.dtype) for kind in set(kinds)}


def _added(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """As numbers that are added to scores."""
    added = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return added.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]

"""Preference tokens of learn-user-pref: vectors that stand before the text of every conversation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prefbench.api import PrefbenchError

from ..files import read_tensors


class _Shell:
    """Replaces the authors' module when unpickling: the same attributes, none of the code."""


def read_tokens(name: str, file: Path, width: int) -> Tensor:
    """The vectors (tokens, width), float32, from the authors' pickled module: its one parameter, `prompt`.

    Args:
        name: the scorer's, for messages.
        width: of the language model's embeddings.

    Raises:
        PrefbenchError: a file that holds something else, or vectors of another shape.
    """
    content = read_tensors(name, file, stand_ins={"prompt_pool.PromptPool": _Shell})
    parameters = vars(content).get("_parameters") if isinstance(content, _Shell) else None
    tokens = parameters.get("prompt") if isinstance(parameters, dict) else None
    if not isinstance(tokens, Tensor):
        raise PrefbenchError(f"scorer {name!r}: {file} holds no preference tokens")
    if tokens.ndim != 2 or tokens.shape[1] != width:
        raise PrefbenchError(
            f"scorer {name!r}: {file} holds preference tokens {tuple(tokens.shape)}; it takes (tokens, {width}), which"
            " all stand before every text, and no pool of which a history chooses some"
        )
    return tokens.detach().float()


@contextmanager
def standing_first(decoder: nn.Module, tokens: Tensor) -> Iterator[None]:
    """Context in which the decoder reads the tokens before every row of its inputs, after the padding on the left."""
    handle = decoder.register_forward_pre_hook(
        lambda _, args, given: (args, _extended(given, tokens)), with_kwargs=True
    )
    try:
        yield
    finally:
        handle.remove()


def _extended(inputs: dict[str, Any], tokens: Tensor) -> dict[str, Any]:
    """The decoder's inputs with the tokens in them; embeddings (B, L, width), mask (B, L)."""
    embeddings, mask = inputs["inputs_embeds"], inputs["attention_mask"]
    first = tokens.to(embeddings)
    padding = (mask == 0).sum(1).tolist()
    rows = [torch.cat([row[:n], first, row[n:]]) for row, n in zip(embeddings, padding, strict=True)]
    # The mask is 0 for the padding on the left and then 1: new tokens only append ones.
    longer = torch.cat([mask, mask.new_ones(len(mask), len(first))], 1)
    return inputs | {"inputs_embeds": torch.stack(rows), "attention_mask": longer}

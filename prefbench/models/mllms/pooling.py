"""Pictures as one token each, for conversations that show many: the mean of what a model makes of a picture.

Models of video pool the tokens of a frame alike (PLLaVA, arXiv 2404.16994; LLaVA-OneVision, arXiv 2408.03326).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from prefbench.api import PrefbenchError


def pooled_processor(name: str, model: Any, processor: Any) -> Any:
    """Makes the model's connector give one token for each picture; returns a processor that leaves room for one.

    Raises:
        PrefbenchError: a model of another kind than Idefics2, whose connector makes equally many of every picture.
    """
    connector = getattr(model.model, "connector", None)
    if connector is None or not hasattr(processor, "image_seq_len"):
        raise PrefbenchError(f"mllm {name!r}: only pictures of equally many tokens each can be pooled")
    connector.register_forward_hook(lambda _connector, _inputs, tokens: mean_token(tokens))
    single = copy.copy(processor)
    single.image_seq_len = 1
    return single


def mean_token(tokens: Tensor) -> Tensor:
    """The mean (..., 1, W) of tokens (..., N, W), with their root mean square: tokens that differ have a small mean."""
    mean = tokens.mean(-2, keepdim=True)
    size, own = (part.float().square().mean((-2, -1), keepdim=True) for part in (tokens, mean))
    return mean * (size / own.clamp(min=torch.finfo(torch.float32).tiny)).sqrt().to(mean.dtype)


def narrow_local_layers(model: Any, *, by: int) -> None:
    """Lets layers of the language model that see near tokens alone see so many fewer, in its configuration too."""
    config = model.config.get_text_config()
    if getattr(config, "sliding_window", None) is None:
        return
    config.sliding_window = max(1, config.sliding_window - by)
    for module in model.modules():
        if getattr(module, "sliding_window", None) is not None:
            module.sliding_window = config.sliding_window

"""What the vision tower and the connector of a language model make of images alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from prefbench.models.mllms.model import Mllm

_SEGMENTS = 16


class EncodedImages(NamedTuple):
    """Of each image, in float16."""

    states: Tensor
    """(N, 16 x width): the tower's, averaged in 16 segments of patches."""
    tokens: Tensor
    """(N, tokens, W): the connector's, as the language model takes them."""


@torch.no_grad()
def encode_images(mllm: Mllm, images: Sequence[Image.Image], *, batch: int = 64) -> EncodedImages:
    """Encodes images, for models with the same number of tokens per image."""
    states, tokens = [], []
    for start in range(0, len(images), batch):
        chunk = [[image] for image in images[start : start + batch]]
        inputs = mllm.processor.image_processor(chunk, return_tensors="pt")
        encoded = mllm.model.get_image_features(**{k: v.to(mllm.device) for k, v in inputs.items()})
        segments = F.adaptive_avg_pool1d(encoded.last_hidden_state.float().transpose(1, 2), _SEGMENTS)
        states.append(segments.flatten(1).half().cpu())
        tokens.append(torch.stack(list(encoded.pooler_output)).half().cpu())
    return EncodedImages(torch.cat(states), torch.cat(tokens))

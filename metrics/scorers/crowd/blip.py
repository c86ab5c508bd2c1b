"""BLIP's image-grounded text encoder in the layout that it was published in, on the classes of transformers.

Li et al. 2022 (arXiv 2201.12086, section 3.1): a text encoder with cross-attention to the picture. The original's
tensors have other names than transformers' and its two towers other defaults; both are translated here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

from prefbench.api import PrefbenchError

from ..files import below

_HEAD_WIDTH = 64
"""Width per attention head in both vision towers of BLIP, base and large."""
_VISION = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"^blocks\.(\d+)\.attn\.", r"encoder.layers.\1.self_attn."),
    (r"^blocks\.(\d+)\.norm([12])\.", r"encoder.layers.\1.layer_norm\2."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.\1."),
)
"""The original's names of the vision tower, and transformers'. The text tower's are the same in both."""


class GroundedText(nn.Module):
    """A text's state at its first token, conditioned on a picture.

    Args:
        tensors: of the original, by the names `visual_encoder...` and `text_encoder...`; others are ignored.
        text: the original's `med_config.json`.

    Raises:
        PrefbenchError: a setting is missing.
        RuntimeError: tensors are missing, unknown or of another shape.
    """

    def __init__(self, tensors: Mapping[str, Tensor], text: Mapping[str, Any]) -> None:
        super().__init__()
        vision = {renamed(name): tensor for name, tensor in below("visual_encoder.", tensors).items()}
        words = below("text_encoder.", tensors)
        words.pop("embeddings.position_ids", None)  # 0, 1, 2...: transformers makes them itself
        self.vision = BlipVisionModel(_vision_config(vision))
        self.vision.load_state_dict(vision)
        self.text = BlipTextModel(_text_config(text, self.vision.config.hidden_size), add_pooling_layer=False)
        self.text.load_state_dict(words)

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """States (B, width) of pixels (B, 3, S, S) and token ids with their mask (B, L)."""
        image_states = self.vision(pixel_values=pixels).last_hidden_state
        text_states = self.text(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=image_states, is_decoder=False
        )
        state: Tensor = text_states.last_hidden_state[:, 0]
        return state

    @property
    def side(self) -> int:
        """Pixels of a picture's side."""
        return int(self.vision.config.image_size)


def renamed(name: str) -> str:
    """A tensor's name in transformers' vision tower, from the original's."""
    for original, ours in _VISION:
        name, changed = re.subn(original, ours, name)
        if changed:
            break
    return name


def _vision_config(tensors: Mapping[str, Tensor]) -> BlipVisionConfig:
    """The configuration, from the tensors' shapes; only the number of heads is not in them."""
    width, _, patch, _ = tensors["embeddings.patch_embedding.weight"].shape
    layers = sum(name.endswith("self_attn.qkv.weight") for name in tensors)
    return BlipVisionConfig(
        hidden_size=width,
        intermediate_size=len(tensors["encoder.layers.0.mlp.fc1.weight"]),
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        image_size=patch * math.isqrt(tensors["embeddings.position_embedding"].shape[1] - 1),
        patch_size=patch,
        layer_norm_eps=1e-6,  # transformers' default is 1e-5
    )


def _text_config(config: Mapping[str, Any], image_width: int) -> BlipTextConfig:
    names = (
        *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
        *("max_position_embeddings", "hidden_act", "layer_norm_eps", "pad_token_id"),
    )
    lacking = [name for name in names if name not in config]
    if lacking:
        raise PrefbenchError(f"med_config.json has no {lacking[0]}")
    # A layer of transformers has cross-attention where its model is a decoder; the mask is set at every call.
    return BlipTextConfig(**{name: config[name] for name in names}, encoder_hidden_size=image_width, is_decoder=True)

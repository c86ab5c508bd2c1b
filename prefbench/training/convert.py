"""Converts open_clip's text tower to transformers' one: the same numbers under other names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from open_clip import CLIP
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

_LAYER_NAMES: Mapping[str, str] = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def text_model(clip: CLIP, config: CLIPTextConfig) -> CLIPTextModel:
    """The text tower of an open_clip model as a `CLIPTextModel` with the same last hidden state.

    Raises:
        RuntimeError: `config` describes another shape.
    """
    model = CLIPTextModel(config)
    model.load_state_dict(_renamed(clip.state_dict(), config.num_hidden_layers), strict=False)
    missing = set(model.state_dict()) - set(_renamed(clip.state_dict(), config.num_hidden_layers))
    unset = {name for name in missing if not name.endswith("position_ids")}
    if unset:
        raise RuntimeError(f"the open_clip model has nothing for {sorted(unset)}")
    return model


def _renamed(state: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    renamed = {
        "embeddings.token_embedding.weight": state["token_embedding.weight"],
        "embeddings.position_embedding.weight": state["positional_embedding"],
        "final_layer_norm.weight": state["ln_final.weight"],
        "final_layer_norm.bias": state["ln_final.bias"],
    }
    for i in range(layers):
        source, target = f"transformer.resblocks.{i}.", f"encoder.layers.{i}."
        for kind in ("weight", "bias"):
            for ours, theirs in _LAYER_NAMES.items():
                renamed[f"{target}{theirs}.{kind}"] = state[f"{source}{ours}.{kind}"]
            joint = state[f"{source}attn.in_proj_{kind}"]
            for name, part in zip(("q_proj", "k_proj", "v_proj"), joint.chunk(3), strict=True):
                renamed[f"{target}self_attn.{name}.{kind}"] = part
    return {name: tensor.detach().clone().to(torch.float32) for name, tensor in renamed.items()}

"""An IP-Adapter that was trained here: its folder, and the eyes that it was trained with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from prefbench.api import Backbone, PrefbenchError
from prefbench.files import write_atomic
from prefbench.models.folders import atomic_folder
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.training.adapter import Adapter

from .image_tower import ImageEmbedder, load_image_tower

FILE, CONFIG = "ip-adapter.safetensors", "config.json"


class MllmEyes:
    """Outputs (N, 16 x width) of a language model's vision tower, averaged in 16 segments of patches."""

    def __init__(self, mllm: Mllm) -> None:
        self.mllm = mllm
        self.width = self([Image.new("RGB", (32, 32))]).shape[1]

    @property
    def digest(self) -> str:
        """SHA-256 over the language model's files."""
        return self.mllm.digest

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        return encode_images(self.mllm, images).states.float()


@dataclass(frozen=True)
class AdapterConfig:
    """What an adapter was trained for and sees with."""

    backbone: str
    image_tower: str = ""
    """A hub id or a folder; empty for the backbone's own."""
    eyes: str = ""
    """A registered language model or a folder of one, whose vision tower is used in place of an image tower."""
    eyes_digest: str = ""
    """Of the tower that is used."""

    @classmethod
    def load(cls, folder: Path) -> AdapterConfig:
        """Raises `PrefbenchError` for a folder that holds none."""
        try:
            return cls(**json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise PrefbenchError(f"{folder} holds no trained adapter; run prefbench train ip-adapter") from error

    def load_eyes(self, backbone: Backbone) -> ImageEmbedder | MllmEyes:
        """The eyes. Raises `PrefbenchError` where they are not here, or not those of the training."""
        device = str(backbone.device)
        eyes = (
            MllmEyes(load_mllm(self.eyes, device=device)) if self.eyes else load_image_tower(backbone, self.image_tower)
        )
        if self.eyes_digest not in ("", eyes.digest):
            raise PrefbenchError(
                "the adapter was trained with other eyes than those here; run prefbench train ip-adapter"
            )
        return eyes


def save_adapter(adapter: Adapter, config: AdapterConfig, folder: Path) -> None:
    """Writes the folder; weights in float16, in the public layout."""
    names = {"image_embeds.weight": "proj.weight", "image_embeds.bias": "proj.bias"}
    state = {f"image_proj.{names.get(k, k)}": v for k, v in adapter.projection.state_dict().items()}
    for i, layer in enumerate(adapter.layers):
        for part in ("to_k_ip", "to_v_ip"):
            # Odd numbers: the layout counts the self-attentions too.
            state[f"ip_adapter.{2 * i + 1}.{part}.weight"] = getattr(layer, part)[0].weight
    with atomic_folder(folder) as fresh:
        halves = {name: tensor.detach().half().contiguous().cpu() for name, tensor in state.items()}
        save_file(halves, fresh / FILE)
        write_atomic(fresh / CONFIG, json.dumps(asdict(config), indent=1) + "\n")


def fresh_adapter(backbone: Backbone, width: int, tokens: int, seed: int, initial_scale: float) -> Adapter:
    """An untrained adapter for image embeddings of a width, attached to the backbone, its tokens so much smaller."""
    from diffusers.models.embeddings import ImageProjection

    torch.manual_seed(seed)
    unet = backbone.pipeline.unet
    projection = ImageProjection(width, unet.config.cross_attention_dim, tokens)
    with torch.no_grad():
        projection.norm.weight.mul_(initial_scale)
    return Adapter(unet, projection, tokens=tokens)

"""CLIP image towers that methods read liked images with, and the most typical of several images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from prefbench.api import Backbone, WeightFiles
from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.loading import strict_loading

CLIP_H = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
"""The model that the image tower of the public IP-Adapters comes from."""
TOWERS: Mapping[str, str] = {"mini-sd": str(WEIGHTS / "mini-vision")}
"""Backbone to tower; others use `CLIP_H`."""


def load_image_tower(backbone: Backbone, source: str = "") -> ImageEmbedder:
    """The tower for a backbone, on its device.

    Args:
        source: a hub id or a folder in place of the default.

    Raises:
        PrefbenchError: no local copy, with the command that gets one; else as `load_tower`.
    """
    location = source or _default(backbone)
    trainer = Path(location).name if location in TOWERS.values() else None
    weights = WeightFiles(location, ("config.json", "*.json", "model*.safetensors"), trainer=trainer)
    return load_tower(hub.require("the image tower", weights), backbone.device)


def tower_name(backbone: Backbone, source: str = "") -> str:
    """Name of the tower: its repository on the hub, or its folder's name."""
    location = source or _default(backbone)
    return location if hub.is_hub_id(location) else Path(location).name


def _default(backbone: Backbone) -> str:
    return TOWERS.get(backbone.card.name, CLIP_H)


def load_tower(folder: Path, device: torch.device) -> ImageEmbedder:
    """The tower in a folder, in float32 whatever the backbone's dtype: it reads each image only once per user.

    Folders without a processor, such as h94/IP-Adapter's, are given CLIP's own at the tower's image size.

    Raises:
        PrefbenchError: files that cannot be loaded, or do not hold all weights.
    """
    with strict_loading("the image tower", folder, transformers):
        tower = CLIPVisionModelWithProjection.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        if (folder / "preprocessor_config.json").is_file():
            processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        else:
            side = tower.config.image_size
            processor = CLIPImageProcessor(size=side, crop_size=side)
    return ImageEmbedder(tower.eval().to(device), processor, device, folder)


class ImageEmbedder:
    """CLIP image embeddings (N, E), not normalised, of images of any size."""

    def __init__(self, tower: Any, processor: Any, device: torch.device, folder: Path) -> None:
        self.tower, self.processor, self.device, self.folder = tower, processor, device, folder

    @property
    def width(self) -> int:
        """E, the width of an embedding."""
        return int(self.tower.config.projection_dim)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the tower's weights and its processor's settings."""
        settings = self.folder / "preprocessor_config.json"
        files = [*self.folder.glob("*.safetensors"), *([settings] if settings.is_file() else [])]
        return hub.digest({self.folder: files})

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image], *, batch: int = 256) -> Tensor:
        rows = []
        for start in range(0, len(images), batch):
            chunk = [image.convert("RGB") for image in images[start : start + batch]]
            pixels = self.processor(images=chunk, return_tensors="pt")["pixel_values"]
            rows.append(self.tower(pixel_values=pixels.to(self.device)).image_embeds.float().cpu())
        return torch.cat(rows)


def most_typical(embeddings: Tensor) -> int:
    """The row of the image nearest in direction to the mean of all: the one to stand for the liked ones."""
    unit = F.normalize(embeddings, dim=1)
    return int((unit @ unit.mean(0)).argmax())

"""The frozen CLIP image tower of `e_img`: which one goes with which backbone, and how it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from prefbench.api import Backbone, PrefbenchError
from prefbench.hub import is_hub_id
from prefbench.paths import WEIGHTS

from .vectors import ImageEmbedder

TOWERS: Mapping[str, str] = {"mini-sd": str(WEIGHTS / "mini-vision")}
"""Backbone to tower; others use `PUBLIC`, the one of the public IP-Adapters."""
PUBLIC = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


def load_image_tower(backbone: Backbone, source: str = "") -> ImageEmbedder:
    """The tower for a backbone, float32 on its device.

    Args:
        source: a hub id or a folder in place of the default.

    Raises:
        PrefbenchError: no local copy, with the command that gets one.
    """
    chosen = source or TOWERS.get(backbone.card.name, PUBLIC)
    try:
        tower = CLIPVisionModelWithProjection.from_pretrained(chosen, dtype=torch.float32, local_files_only=True)
        processor = CLIPImageProcessor.from_pretrained(chosen, local_files_only=True)
    except (OSError, ValueError) as error:
        get = f"hf download {chosen}" if is_hub_id(chosen) else f"put one there: {Path(chosen)}"
        raise PrefbenchError(f"there is no image tower {chosen} here; get it with: {get}") from error
    return ImageEmbedder(tower.eval().to(backbone.device), processor, backbone.device)

"""The frozen CLIP image tower of `e_img`: which one goes with which backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prefbench.api import Backbone, PrefbenchError
from prefbench.files import WEIGHTS
from prefbench.models import hub

from ..shared.image_tower import ImageEmbedder, load_tower

TOWERS: Mapping[str, str] = {"mini-sd": str(WEIGHTS / "mini-vision")}
"""Backbone to tower; others use `PUBLIC`, the one of the public IP-Adapters."""
PUBLIC = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


def load_image_tower(backbone: Backbone, source: str = "") -> ImageEmbedder:
    """The tower for a backbone, on its device.

    Args:
        source: a hub id or a folder in place of the default.

    Raises:
        PrefbenchError: no local copy, with the command that gets one; else as `load_tower`.
    """
    chosen = source or _default(backbone)
    folder = hub.locate(chosen, None, "config.json")
    if folder is None:
        get = f"hf download {chosen}" if hub.is_hub_id(chosen) else f"put one there: {chosen}"
        raise PrefbenchError(f"there is no image tower {chosen} here; get it with: {get}")
    return load_tower(folder, backbone.device)


def tower_name(backbone: Backbone, source: str = "") -> str:
    """What the tower is known as: the repository of the hub, or its folder's name."""
    chosen = source or _default(backbone)
    return chosen if hub.is_hub_id(chosen) else Path(chosen).name


def _default(backbone: Backbone) -> str:
    return TOWERS.get(backbone.card.name, PUBLIC)

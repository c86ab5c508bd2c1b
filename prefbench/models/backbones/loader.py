"""Loads a backbone from files that are already here; what is missing is named with the command that gets it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from prefbench.api import BackboneCard, PrefbenchError, StyleCard, TextsRead
from prefbench.api.near import unknown
from prefbench.models import loading
from prefbench.models.backbones import weights
from prefbench.models.backbones.cards import PIPELINES, card_of_folder
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.backbones.schedulers import check_scheduler, check_steps
from prefbench.models.backbones.space_to_depth import SpaceToDepthAutoencoder
from prefbench.models.backbones.style_transfer import StyleTransferBackbone, load_style_transfer
from prefbench.models.hub import MissingWeights
from prefbench.models.loading import choose_device, choose_dtype, strict_loading
from prefbench.models.text_limits import read_by_pipeline

_LIBRARIES = ("diffusers", "transformers", SpaceToDepthAutoencoder.__module__)
"""Libraries of components. diffusers takes one of our modules from `model_index.json` only once it is imported."""


def load_any(
    backbone: str | Path | BackboneCard,
    *,
    device: str | None = None,
    dtype: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
) -> DiffusersBackbone | StyleTransferBackbone:
    """Loads a backbone of either kind, as `load_backbone` one of text-to-image.

    Raises:
        PrefbenchError: as `load_backbone`; or a setting that style transfer does not have.
    """
    card = find_card(backbone)
    if not isinstance(card, StyleCard):
        return load_backbone(card, device=device, dtype=dtype, steps=steps, guidance=guidance)
    given = {"device": device, "dtype": dtype, "steps": steps, "guidance": guidance}
    allowed = {"device": "cpu", "dtype": "float32", "steps": 1, "guidance": 1.0}
    for name, value in given.items():
        if value not in (None, allowed[name]):
            raise PrefbenchError(f"backbone {card.name!r} has {name} {allowed[name]} alone, got {value}")
    return load_style_transfer(card)


def load_backbone(
    backbone: str | Path | BackboneCard,
    *,
    device: str | None = None,
    dtype: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
) -> DiffusersBackbone:
    """Loads a backbone of text-to-image; never from the network.

    Args:
        backbone: a registered name, a folder in `save_pretrained` layout, or a card.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
        dtype: `float32`, `float16`, `bfloat16`; by default float32 on the CPU, elsewhere the card's.
        steps: denoising steps; by default the card's.
        guidance: scale of classifier-free guidance; by default the card's, and 1 turns it off.

    Raises:
        PrefbenchError: an unknown name, device or dtype; weights that are absent, incomplete or of another layout; a
            scheduler that is none of diffusion, or that does not take so many steps.
    """
    card = _with_settings(_text_to_image(find_card(backbone)), steps, guidance)
    torch_device = choose_device(device)
    precision = choose_dtype(dtype, card.dtype, torch_device)
    folder = weights.find(card)
    if isinstance(folder, MissingWeights):
        raise PrefbenchError(f"backbone {card.name!r}: {folder}")
    pipeline = _load(card, folder, precision).to(torch_device)
    check_scheduler(card.name, pipeline.scheduler)
    check_steps(card.name, pipeline.scheduler, card.steps)
    return DiffusersBackbone(card, pipeline, folder, device=torch_device, dtype=precision)


def read_prompts(backbone: str | Path | BackboneCard, prompts: Sequence[str]) -> TextsRead:
    """How many prompts a backbone would cut; loads its tokenizers alone.

    Raises:
        PrefbenchError: an unknown name; tokenizers that are absent or cannot be loaded.
    """
    card = _text_to_image(find_card(backbone))
    folder = weights.find(card)
    if isinstance(folder, MissingWeights):
        raise PrefbenchError(f"backbone {card.name!r}: {folder}")
    with strict_loading(f"backbone {card.name!r}", folder, transformers):
        tokenizers = [transformers.CLIPTokenizer.from_pretrained(path) for path in sorted(folder.glob("tokenizer*"))]
    return read_by_pipeline(tokenizers, prompts)


def _text_to_image(card: BackboneCard) -> BackboneCard:
    if isinstance(card, StyleCard):
        raise PrefbenchError(f"backbone {card.name!r} redraws pictures: a backbone of text-to-image is asked for")
    return card


def find_card(backbone: str | Path | BackboneCard) -> BackboneCard:
    """The card of a registered name or of a folder."""
    return loading.find_card("backbone", backbone, BackboneCard, card_of_folder)


def _with_settings(card: BackboneCard, steps: int | None, guidance: float | None) -> BackboneCard:
    if steps is not None and steps < 1:
        raise PrefbenchError(f"steps must be at least 1, got {steps}")
    if guidance is not None and not guidance >= 0:
        raise PrefbenchError(f"guidance must be at least 0, got {guidance}")
    return replace(
        card,
        steps=card.steps if steps is None else steps,
        guidance=card.guidance if guidance is None else guidance,
    )


def _load(card: BackboneCard, folder: Path, dtype: torch.dtype) -> Any:
    if card.pipeline not in PIPELINES:
        raise PrefbenchError(unknown("pipeline", card.pipeline, list(PIPELINES)))
    for component, library in weights.components(folder).items():
        if library not in _LIBRARIES:
            raise PrefbenchError(f"{folder}: {component} comes from {library!r}, not from {', '.join(_LIBRARIES)}")
    pipeline_class = getattr(diffusers, card.pipeline)
    preferred = weights.variant(card)
    with strict_loading(f"backbone {card.name!r}", folder, diffusers, transformers):
        return pipeline_class.from_pretrained(
            folder,
            dtype=dtype,
            variant=preferred if weights.has_variant(folder, preferred) else None,
            use_safetensors=True,
            local_files_only=True,
            **_switches(pipeline_class),
        )


def _switches(pipeline_class: Any) -> dict[str, Any]:
    """Arguments that turn off what would alter pictures unseen: black for unsafe ones, watermarks where installed."""
    off = {"safety_checker": None, "requires_safety_checker": False, "add_watermarker": False}
    parameters = inspect.signature(pipeline_class.__init__).parameters
    return {name: value for name, value in off.items() if name in parameters}

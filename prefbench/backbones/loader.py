"""Loads a backbone from files that are already here; what is missing is named with the command that gets it."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from prefbench import registry
from prefbench.api import BackboneCard, PrefbenchError
from prefbench.backbones import weights
from prefbench.backbones.cards import PIPELINES, card_of_folder
from prefbench.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.backbones.space_to_depth import SpaceToDepthAutoencoder

logger = logging.getLogger(__name__)
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
DEVICES = ("cuda", "mps", "cpu")
_LIBRARIES = ("diffusers", "transformers", SpaceToDepthAutoencoder.__module__)
"""Where components may come from. diffusers takes a module of ours from `model_index.json` only once it is imported."""


def load_backbone(
    backbone: str | Path | BackboneCard,
    *,
    device: str | None = None,
    dtype: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
) -> DiffusersBackbone:
    """Loads a backbone; never from the network.

    Args:
        backbone: a registered name, a folder in `save_pretrained` layout, or a card.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
        dtype: `float32`, `float16`, `bfloat16`; by default float32 on the CPU, elsewhere the card's.
        steps: denoising steps; by default the card's.
        guidance: scale of classifier-free guidance; by default the card's, and 1 turns it off.

    Raises:
        PrefbenchError: an unknown name, device or dtype; weights that are absent, incomplete or of another layout.
    """
    card = _with_settings(find_card(backbone), steps, guidance)
    place = choose_device(device)
    precision = choose_dtype(dtype, card, place)
    folder = weights.find(card)
    if isinstance(folder, weights.Absence):
        raise PrefbenchError(f"backbone {card.name!r}: {folder.what}; get it with: {folder.command}")
    pipeline = _load(card, folder, precision).to(place)
    return DiffusersBackbone(card, pipeline, folder, device=place, dtype=precision)


def find_card(backbone: str | Path | BackboneCard) -> BackboneCard:
    """The card of a registered name or of a folder."""
    if isinstance(backbone, BackboneCard):
        return backbone
    if str(backbone) not in registry.names("backbone") and Path(backbone).is_dir():
        return card_of_folder(Path(backbone))
    found = registry.load("backbone", str(backbone))
    if not isinstance(found, BackboneCard):
        raise PrefbenchError(f"backbone {str(backbone)!r} is a {type(found).__name__}, not a BackboneCard")
    return found


def choose_device(name: str | None) -> torch.device:
    """The named device, or the best that is here. Raises `PrefbenchError` for one unknown or not here."""
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return torch.device(next(kind for kind in DEVICES if here[kind]))
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (":" in name and not index.isdecimal()):
        raise PrefbenchError(registry.unknown("device", name, list(DEVICES)))
    if not here[kind] or (kind == "cuda" and index and int(index) >= torch.cuda.device_count()):
        raise PrefbenchError(f"there is no device {name!r} here (found: {', '.join(k for k in DEVICES if here[k])})")
    return torch.device(name)


def choose_dtype(name: str | None, card: BackboneCard, device: torch.device) -> torch.dtype:
    """The named dtype, or float32 on the CPU and the card's elsewhere. Raises `PrefbenchError` for one unknown."""
    if name is None:
        return torch.float32 if device.type == "cpu" else DTYPES[card.dtype]
    if name not in DTYPES:
        raise PrefbenchError(registry.unknown("dtype", name, list(DTYPES)))
    if device.type == "cpu" and name != "float32":
        logger.warning("%s on the CPU is many times slower than float32: up to 60 times", name)
    return DTYPES[name]


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
        raise PrefbenchError(registry.unknown("pipeline", card.pipeline, list(PIPELINES)))
    for component, library in weights.components(folder).items():
        if library not in _LIBRARIES:
            raise PrefbenchError(f"{folder}: {component} comes from {library!r}, not from {', '.join(_LIBRARIES)}")
    pipeline_class = getattr(diffusers, card.pipeline)
    preferred = weights.variant(card)
    with _listening() as heard:
        try:
            pipeline = pipeline_class.from_pretrained(
                folder,
                dtype=dtype,
                variant=preferred if weights.has_variant(folder, preferred) else None,
                use_safetensors=True,
                local_files_only=True,
                **_switches(pipeline_class),
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = _one_line(str(error))
            raise PrefbenchError(f"backbone {card.name!r}: {folder} cannot be loaded: {reason}") from error
    for warning in heard:
        logger.debug("loading %s: %s", folder, warning)
        if "newly initialized" in warning:
            raise PrefbenchError(f"backbone {card.name!r}: weights are missing in {folder}: {_one_line(warning)}")
    return pipeline


def _switches(pipeline_class: Any) -> dict[str, Any]:
    """What would change pictures behind the scorers' back, off: black for unsafe ones, watermarks where installed."""
    off = {"safety_checker": None, "requires_safety_checker": False, "add_watermarker": False}
    taken = inspect.signature(pipeline_class.__init__).parameters
    return {name: value for name, value in off.items() if name in taken}


def _one_line(text: str) -> str:
    """A library's message without line breaks and terminal colours, at most 300 characters."""
    return " ".join(re.sub(r"\x1b\[[\d;]*m", "", text).split())[:300]


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collects the warnings of both libraries in place of showing them, and hides their progress bars.

    They only warn when parameters without weights stay random; `_load` makes that an error.
    """
    ear, libraries = _Ear(), [logging.getLogger(name) for name in ("diffusers", "transformers")]
    before = [(library.handlers, library.propagate, library.level) for library in libraries]
    for library in libraries:
        library.handlers, library.propagate = [ear], False
        library.setLevel(logging.WARNING)
    try:
        with _bars_hidden(diffusers.utils.logging), _bars_hidden(transformers.utils.logging):
            yield ear.heard
    finally:
        for library, (handlers, propagate, level) in zip(libraries, before, strict=True):
            library.handlers, library.propagate = handlers, propagate
            library.setLevel(level)


@contextmanager
def _bars_hidden(settings: Any) -> Iterator[None]:
    shown = settings._tqdm_active  # diffusers has no public name for it
    settings.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            settings.enable_progress_bar()

"""What a backbone is: a text-to-image pipeline that methods drive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from PIL import Image

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline


@dataclass(frozen=True)
class BackboneCard:
    """How a backbone is loaded and driven."""

    name: str
    pipeline: str
    """Class name in diffusers."""
    source: str
    """Hub id, or the folder of shipped weights."""
    revision: str | None
    resolution: int
    steps: int
    guidance: float
    dtype: Literal["float32", "float16", "bfloat16"]
    licence: str
    size: int | None = None
    """Bytes of the download as published, rounded; None where nobody noted it."""


class Backbone(Protocol):
    """A text-to-image pipeline that methods drive."""

    card: BackboneCard
    pipeline: DiffusionPipeline
    device: torch.device
    dtype: torch.dtype
    on_evaluations: Callable[[float], object]
    """Is told after each denoising step how many denoiser passes it took."""

    @property
    def digest(self) -> str:
        """SHA-256 over the weights."""

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        negative_prompts: Sequence[str] | None = None,
        **pipeline_arguments: Any,
    ) -> list[Image.Image]:
        """Draws one image per prompt from that prompt's own seed; each prompt is embedded once per run."""

    def roundtrip(self, image: Image.Image) -> Image.Image:
        """The image through the autoencoder: what a perfect denoiser could draw at best."""

    @property
    def nfe(self) -> int:
        """Denoiser passes for one image with the card's settings."""

    def nfe_at(self, guidance: float) -> int:
        """Denoiser passes for one image with another guidance scale."""

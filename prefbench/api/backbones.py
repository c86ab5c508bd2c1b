"""What a backbone is: a text-to-image pipeline that methods drive, or a network that redraws a picture in a style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, get_args

from PIL import Image

from prefbench.api.features import Features

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

BackboneKind = Literal["text-to-image", "style-transfer"]
BACKBONE_KINDS: tuple[BackboneKind, ...] = get_args(BackboneKind)


@dataclass(frozen=True)
class BackboneCard:
    """How a backbone is loaded and driven."""

    kind: ClassVar[BackboneKind] = "text-to-image"

    name: str
    pipeline: str
    """Class name in diffusers; of a backbone that has no such pipeline, what it has."""
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

    @property
    def settings(self) -> str:
        """What a drawing is made with beside the weights, as people read it."""
        return f"{self.steps} steps, guidance {self.guidance:g}"


@dataclass(frozen=True, kw_only=True)
class StyleCard(BackboneCard):
    """How a backbone of style transfer is loaded: no pipeline, one pass for a picture, no guidance."""

    kind: ClassVar[BackboneKind] = "style-transfer"

    steps: int = 1
    guidance: float = 1.0

    @property
    def settings(self) -> str:
        return "one pass"


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


class StyleBackbone(Protocol):
    """Redraws the content of a case in a style that a method gives: no prompt is read and no noise is drawn.

    A style is a vector, and every picture has one.
    """

    card: StyleCard
    device: torch.device
    dtype: torch.dtype
    on_evaluations: Callable[[float], object]
    """Is told after each picture that one pass was made."""

    @property
    def digest(self) -> str:
        """SHA-256 over the weights."""

    def styles(self, pictures: Sequence[Image.Image]) -> Features:
        """The style of each picture, (N, D)."""

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        contents: Sequence[Image.Image],
        styles: Features | None = None,
    ) -> list[Image.Image]:
        """Redraws one content per prompt in its style (N, D); None for each content's own style.

        A drawing has the size of its content, or with the card's resolution as the longer side where that is larger.
        Equal contents and styles give equal drawings whatever the seeds.
        """

    @property
    def nfe(self) -> int:
        """Passes for one image."""

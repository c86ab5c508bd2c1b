"""Extractors over transformers image encoders: DINOv2 and its miniature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from prefbench.api import (
    Extractor,
    ExtractorCard,
    Features,
    FloatArray,
    Pixels,
    PrefbenchError,
    WeightFiles,
    counted,
)
from prefbench.api.gradients import Slopes
from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.extractors.common import checked_picture, in_batches, loading, loads, run_network, world_of

if TYPE_CHECKING:
    import torch

_WEIGHTS = "model.safetensors"
_PROCESSOR = "preprocessor_config.json"
_FILES = ("config.json", _PROCESSOR, _WEIGHTS)
MINI_DINO = WeightFiles(str(WEIGHTS / "mini-dino"), _FILES, licence="Apache-2.0", trainer="mini-dino")
DINOV2_LARGE = WeightFiles("facebook/dinov2-large", _FILES, licence="Apache-2.0", size=1_220_000_000)


class EncoderExtractor:
    """The pooled output of an image encoder that `transformers.AutoModel` loads.

    For DINOv2 that is the class token behind the last layer norm (Oquab et al. 2023, section 7), for convolutional
    encoders the mean over positions.

    Args:
        name: The registry's name of it, first part of the id.
        folder: A `save_pretrained` folder with `model.safetensors` and `preprocessor_config.json`.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.

    Raises:
        PrefbenchError: the folder cannot be loaded, or weights are missing in it.
    """

    def __init__(self, name: str, folder: Path, *, device: str | None = None) -> None:
        import torch
        import transformers

        from prefbench.models.loading import choose_device, strict_loading

        self.device = choose_device(device)
        with strict_loading(f"extractor {name!r}", folder, transformers), loading(name, folder):
            self._processor: Any = transformers.AutoImageProcessor.from_pretrained(folder, use_fast=False)
            model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        self._model: Any = model.to(self.device).eval()
        files = [folder / _WEIGHTS, folder / _PROCESSOR]
        self._id = f"{name}[pooled]@{hub.digest({folder: files})}"

    @property
    def id(self) -> str:
        return self._id

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return in_batches(self.id, pictures, self._encode)

    def image_slopes(self, pictures: FloatArray, value: Callable[[torch.Tensor], torch.Tensor]) -> Slopes:
        """How a function of the features changes with the pixels: `prefbench.api.gradients.SlopedExtractor`.

        Raises:
            PrefbenchError: pictures of another size than the encoder's: no gradient passes the resizing.
        """
        import torch

        from prefbench.models.slopes import slopes_of

        side = self._processor.size["height"]
        if pictures.shape[1:3] != (side, self._processor.size["width"]) or self._processor.do_center_crop:
            raise PrefbenchError(f"{self._id.partition('[')[0]} gives gradients of pictures of side {side} alone")
        mean, std = (torch.tensor(getattr(self._processor, name)) for name in ("image_mean", "image_std"))

        def function(x: torch.Tensor) -> torch.Tensor:
            standard = (x - mean.view(3, 1, 1).to(x)) / std.view(3, 1, 1).to(x)
            return value(self._model(pixel_values=standard).pooler_output.flatten(1))

        return slopes_of(function, pictures, self.device)

    def texts(self, texts: Sequence[str]) -> Features:
        """Raises `PrefbenchError`: there is no text tower."""
        name = self._id.partition("[")[0]
        raise PrefbenchError(f"extractor {name!r} has no text tower; {counted(len(texts), 'text')} given")

    def _encode(self, pictures: Sequence[Pixels]) -> Features:
        images = [Image.fromarray(checked_picture(picture)) for picture in pictures]
        pixels = self._processor(images=images, return_tensors="pt")["pixel_values"]

        def pooled(batch: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self._model(pixel_values=batch).pooler_output
            return output.flatten(1)

        return np.asarray(run_network(pooled, pixels, self.device))


@loads(ExtractorCard("mini-dino", "the encoder of the scorer preference, 64 numbers", world_of("mini-dino")), MINI_DINO)
def mini_dino(folder: Path = WEIGHTS / "mini-dino") -> Extractor:
    """The shipped miniature, encoder of picturebook's preference scorer."""
    return EncoderExtractor("mini-dino", hub.require("extractor 'mini-dino'", replace(MINI_DINO, source=str(folder))))


@loads(ExtractorCard("dinov2", "DINOv2 ViT-L/14, 1,024 numbers"), DINOV2_LARGE)
def dinov2_large() -> Extractor:
    """DINOv2 ViT-L/14 from the local Hugging Face cache, the encoder of `fd-dinov2`."""
    return EncoderExtractor("dinov2", hub.require("extractor 'dinov2'", DINOV2_LARGE))

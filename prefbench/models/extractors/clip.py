"""Extractors over open_clip models: the shipped miniature and CLIP ViT-L/14."""

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
    TextsRead,
    WeightFiles,
)
from prefbench.api.gradients import Slopes
from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.extractors.common import (
    checked_picture,
    file_digest_of,
    in_batches,
    loading,
    loads,
    run_network,
    world_of,
)
from prefbench.models.text_limits import read_by_open_clip

if TYPE_CHECKING:
    import torch

_FILE = "open_clip_model.safetensors"
MINI_CLIP = WeightFiles(str(WEIGHTS / "mini-clip"), (_FILE,), licence="Apache-2.0", trainer="mini-clip")
OPEN_CLIP_LARGE = WeightFiles(
    "timm/vit_large_patch14_clip_224.openai", (_FILE,), licence="MIT (OpenAI's CLIP)", size=1_710_000_000
)


class OpenClipExtractor:
    """The two towers of an open_clip model, images through the model's own transform.

    Args:
        name: The registry's name of it, first part of the id.
        model: An open_clip model in float32.
        transform: A PIL image to a tensor (3, S, S).
        tokenizer: Texts to token ids (N, L).
        weights: The file that `model` was loaded from; hashed into the id.
        repeat_pixels: Enlarge pictures whose sides divide S by repeating pixels, before `transform` sees them.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        transform: Callable[[Image.Image], torch.Tensor],
        tokenizer: Callable[[list[str]], torch.Tensor],
        *,
        weights: Path,
        repeat_pixels: bool = False,
        device: str | None = None,
    ) -> None:
        import open_clip

        from prefbench.models.loading import choose_device

        self.device = choose_device(device)
        self.model, self.transform, self.tokenizer = model.to(self.device).eval(), transform, tokenizer
        prepare = open_clip.get_model_preprocess_cfg(model)
        self.size = int(np.max(prepare["size"]))
        self.repeat_pixels = repeat_pixels
        resize = "pixel-repeat" if repeat_pixels else f"pil-{prepare['interpolation']}-{prepare['resize_mode']}"
        self._id = f"{name}[{resize}-{self.size},norm-sqrt-d]@{file_digest_of(weights)}"

    @property
    def id(self) -> str:
        return self._id

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D) of norm sqrt(D). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return in_batches(self.id, pictures, lambda batch: self._encode("encode_image", self._to_tensor(batch)))

    def image_slopes(self, pictures: FloatArray, value: Callable[[torch.Tensor], torch.Tensor]) -> Slopes:
        """How a function of the features changes with the pixels: `prefbench.api.gradients.SlopedExtractor`.

        Raises:
            PrefbenchError: pictures that would be resized other than by repeating pixels: no gradient passes that.
        """
        import open_clip
        import torch

        from prefbench.models.slopes import slopes_of

        height, width = pictures.shape[1:3]
        scale = self.size // height if self.repeat_pixels else 1
        if height != width or scale * height != self.size:
            raise PrefbenchError(f"{self._id.partition('[')[0]} gives no gradients of pictures {height}x{width}")
        prepare = open_clip.get_model_preprocess_cfg(self.model)
        mean, std = (torch.tensor(prepare[name]).view(3, 1, 1) for name in ("mean", "std"))

        def function(x: torch.Tensor) -> torch.Tensor:
            large = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
            features = self.model.encode_image((large - mean.to(x)) / std.to(x), normalize=True)
            return value(features * features.shape[1] ** 0.5)

        return slopes_of(function, pictures, self.device)

    def texts(self, texts: Sequence[str]) -> Features:
        """Features (N, D) of norm sqrt(D); a text longer than the model's context is cut."""
        return in_batches(self.id, texts, lambda batch: self._encode("encode_text", self.tokenizer(list(batch))))

    def texts_read(self, texts: Sequence[str]) -> TextsRead:
        """How many texts are cut at the model's context."""
        return read_by_open_clip(self.tokenizer, texts)

    def _to_tensor(self, pictures: Sequence[Pixels]) -> torch.Tensor:
        import torch

        enlarged = [self._enlarge(checked_picture(picture)) for picture in pictures]
        return torch.stack([self.transform(Image.fromarray(picture)) for picture in enlarged])

    def _enlarge(self, picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        if not self.repeat_pixels or self.size % height or self.size % width:
            return picture
        return picture.repeat(self.size // height, axis=0).repeat(self.size // width, axis=1)

    def _encode(self, tower: str, batch: torch.Tensor) -> Features:
        # CLIP compares directions; with this norm every dimension has a spread near 1, as the kernel of kid expects.
        features = run_network(getattr(self.model, tower), batch, self.device)
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        return np.asarray(features * (np.sqrt(features.shape[1]) / norms))


@loads(
    ExtractorCard("mini-clip", "a CLIP of 32x32 pictures and their captions, 96 numbers", world_of("mini-clip")),
    MINI_CLIP,
)
def mini_clip(folder: Path = WEIGHTS / "mini-clip") -> Extractor:
    """The shipped open_clip miniature; it learned from pictures that were doubled, so they are doubled here."""
    import open_clip

    weights = hub.require("extractor 'mini-clip'", replace(MINI_CLIP, source=str(folder))) / _FILE
    source = f"local-dir:{folder}"
    with loading("mini-clip", folder):
        model, _, transform = open_clip.create_model_and_transforms(source, image_interpolation="bicubic")
        tokenizer = open_clip.get_tokenizer(source)
    return OpenClipExtractor("mini-clip", model, transform, tokenizer, weights=weights, repeat_pixels=True)


@loads(ExtractorCard("open-clip", "CLIP ViT-L/14 of OpenAI, 768 numbers"), OPEN_CLIP_LARGE)
def open_clip_large(
    *,
    architecture: str = "ViT-L-14",
    repository: str = OPEN_CLIP_LARGE.source,
    cache: Path | None = None,
) -> Extractor:
    """OpenAI's CLIP ViT-L/14 from the local Hugging Face cache (`cache`, else the default one)."""
    import open_clip

    weights = hub.require("extractor 'open-clip'", replace(OPEN_CLIP_LARGE, source=repository), cache=cache) / _FILE
    # OpenAI trained with the approximate GELU; open_clip only knows that from its own download tags.
    with loading("open-clip", weights):
        model, _, transform = open_clip.create_model_and_transforms(architecture, str(weights), force_quick_gelu=True)
        tokenizer = open_clip.get_tokenizer(architecture)
    return OpenClipExtractor("open-clip", model, transform, tokenizer, weights=weights)

"""`hpsv2`: which picture for a prompt the annotators of HPDv2 preferred, by a fine-tuned CLIP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from PIL import Image

from prefbench.api import Features, PrefbenchError, ScorerCard, TextsRead, WeightFiles
from prefbench.api.near import unknown
from prefbench.models.text_limits import read_by_open_clip

from ..files import fitting, read_tensors, state_dict
from .base import CrowdScorer, as_numbers, exact


class _Loaded(NamedTuple):
    model: Any
    transform: Callable[[Image.Image], Any]
    tokenizer: Callable[[list[str]], Any]
    device: Any


class HpsV2(CrowdScorer):
    """HPS v2.1 (Wu et al. 2023, arXiv 2306.09341): 100 x cosine of picture and prompt.

    Its package reports the cosine, its tables 100 times that. It was trained so that the softmax of two pictures'
    scores over a learned temperature, which starts at CLIP's 1/100, is the probability that annotators prefer it.

    Args:
        source: a repository of the hub or a folder.
        file: of the checkpoint in it: an open_clip state dict under `state_dict`, and nothing but tensors.
        architecture: open_clip's name of the network.
        anchor, batch, device: see `CrowdScorer`.
    """

    card: ClassVar[ScorerCard] = ScorerCard(
        name="hpsv2",
        version="2.1",
        summary="the crowd's choice between pictures for a prompt, by a CLIP tuned on HPDv2",
        licence="Apache-2.0",
        personal=False,
        encoders=("laion/CLIP-ViT-H-14-laion2B-s32B-b79K",),
        trained_on=("HPDv2",),
        source="https://arxiv.org/abs/2306.09341",
        scale="logistic(100 cos - anchor): how likely the crowd takes it over a picture for the same prompt that has"
        " the anchor's score; compares within one prompt, and not with HPS v2.0",
        caveats=(
            "knows the crowd and no user: orders 84.1 % of HPDv2's pairs and 66.8 % of ImageReward's as the majority"
            " did (its README), above single humans (78.1 and 65.3 %)",
            "the default anchor 27 is a customary score of v2.1, not measured",
            "pictures are padded to squares, as its package does; it resizes tensors, this resizes with PIL",
            "words after the 77th token are not read",
            "rewards what its CLIP rewards: methods that select, train or guide with it or with its CLIP win it",
        ),
    )

    def __init__(
        self,
        *,
        source: str = "xswu/HPSv2",
        file: str = "HPS_v2.1_compressed.pt",
        architecture: str = "ViT-H-14",
        anchor: float = 27.0,
        batch: int = 16,
        device: str | None = None,
    ) -> None:
        super().__init__(anchor=anchor, batch=batch, device=device)
        self.source, self.file, self.architecture = source, file, architecture

    def _points(self, prompts: list[str], pictures: list[Image.Image]) -> Features:
        import torch

        model, transform, tokenizer, device = self._loaded
        pixels = torch.stack([transform(picture) for picture in pictures])
        with exact():
            image_rows = model.encode_image(pixels.to(device), normalize=True)
            text_rows = model.encode_text(tokenizer(prompts).to(device), normalize=True)
            return as_numbers(100 * (image_rows * text_rows).sum(-1))

    def texts_read(self, texts: Sequence[str]) -> TextsRead:
        """How many texts are cut at the model's context."""
        return read_by_open_clip(self._loaded.tokenizer, texts)

    @cached_property
    def _loaded(self) -> _Loaded:
        import open_clip

        from prefbench.models.loading import choose_device

        config = open_clip.get_model_config(self.architecture)
        if config is None:
            raise PrefbenchError(unknown("architecture", self.architecture, open_clip.list_models()))
        (folder,) = self._folders()
        name, path = self.card.name, folder / self.file
        content = read_tensors(name, path)
        weights = state_dict(name, content.get("state_dict") if isinstance(content, Mapping) else None, path)
        with fitting(name, path):
            model = open_clip.CLIP(**config)
            model.load_state_dict(weights)
        size = model.visual.image_size
        transform = open_clip.image_transform(size, is_train=False, resize_mode="longest")
        device = choose_device(self.device)
        return _Loaded(model.to(device).eval(), transform, open_clip.get_tokenizer(self.architecture), device)

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        return (WeightFiles(self.source, (self.file,), licence="Apache-2.0", size=1_970_000_000),)

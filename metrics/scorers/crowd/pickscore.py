"""`pickscore`: which of two pictures for a prompt the users of Pick-a-Pic preferred, by a fine-tuned CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from PIL import Image

from prefbench.api import Features, ScorerCard, TextsRead, WeightFiles
from prefbench.models.text_limits import read_by_transformers

from .base import CrowdScorer, as_numbers, exact

CLIP_H = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
_MODEL = ("model.safetensors", "config.json")
_PROCESSOR = ("preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")


class _Loaded(NamedTuple):
    model: Any
    images: Any
    tokenizer: Any


class PickScore(CrowdScorer):
    """PickScore v1 (Kirstain et al. 2023, section 4): exp(logit scale) x cosine of picture and prompt, about 100 cos.

    It was trained so that the softmax of two pictures' scores is the share of users who prefer each (eq. 2).

    Args:
        source: a repository of the hub or a folder, in the layout of transformers' `CLIPModel`.
        processor: where its processor is; by default that of the CLIP it was tuned from.
        anchor, batch, device: see `CrowdScorer`.
    """

    card: ClassVar[ScorerCard] = ScorerCard(
        name="pickscore",
        version="1",
        summary="the crowd's choice between two pictures for a prompt, by a CLIP tuned on Pick-a-Pic v1",
        licence="MIT (its repository)",
        personal=False,
        encoders=(CLIP_H,),
        trained_on=("Pick-a-Pic v1",),
        source="https://arxiv.org/abs/2305.01569",
        scale="logistic(PickScore - anchor): how likely the crowd takes it over a picture for the same prompt that has"
        " the anchor's PickScore; compares within one prompt",
        caveats=(
            "knows the crowd and no user: of pairs that single users judged it orders 57.7 % as they did"
            " (learn-user-pref, table 1), of the crowd's pairs 70.2 to 70.5 % (Pick-a-Pic; human experts 68.0 %)",
            "the default anchor 21 is a customary PickScore of Stable Diffusion, not measured",
            "rewards what its CLIP rewards: methods that select, train or guide with it or with its CLIP win it",
            "words after the 77th token are not read",
        ),
    )

    def __init__(
        self,
        *,
        source: str = "yuvalkirstain/PickScore_v1",
        processor: str = CLIP_H,
        anchor: float = 21.0,
        batch: int = 16,
        device: str | None = None,
    ) -> None:
        super().__init__(anchor=anchor, batch=batch, device=device)
        self.source, self.processor = source, processor

    def _points(self, prompts: list[str], pictures: list[Image.Image]) -> Features:
        model, images, tokenizer = self._loaded
        words = tokenizer(prompts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt")
        pixels = images(pictures, return_tensors="pt")["pixel_values"]
        with exact():
            out = model(
                input_ids=words["input_ids"].to(model.device),
                attention_mask=words["attention_mask"].to(model.device),
                pixel_values=pixels.to(model.device),
            )
            # Both embeddings come out with norm 1.
            return as_numbers(model.logit_scale.exp() * (out.image_embeds * out.text_embeds).sum(-1))

    def texts_read(self, texts: Sequence[str]) -> TextsRead:
        """How many texts are cut at the model's context."""
        return read_by_transformers(self._loaded.tokenizer, texts, self._longest)

    @property
    def _longest(self) -> int:
        """Tokens that the model reads."""
        return int(self._loaded.model.config.text_config.max_position_embeddings)

    @cached_property
    def _loaded(self) -> _Loaded:
        import torch
        import transformers
        from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

        from prefbench.models.loading import choose_device, strict_loading

        weights, settings = self._folders()
        with strict_loading(f"scorer {self.card.name!r}", weights, transformers):
            model = CLIPModel.from_pretrained(weights, use_safetensors=True, dtype=torch.float32, local_files_only=True)
        # The slow processor resizes with PIL, as the releases of transformers that it was trained with did.
        by_pil = getattr(transformers, "CLIPImageProcessorPil", CLIPImageProcessor)
        with strict_loading(f"scorer {self.card.name!r}", settings, transformers):
            images = by_pil.from_pretrained(settings, local_files_only=True)
            tokenizer = CLIPTokenizer.from_pretrained(settings, local_files_only=True)
        return _Loaded(model.to(choose_device(self.device)).eval(), images, tokenizer)

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        model = WeightFiles(self.source, _MODEL, licence="MIT", size=3_940_000_000)
        return model, WeightFiles(self.processor, _PROCESSOR, licence="MIT", size=4_000_000)

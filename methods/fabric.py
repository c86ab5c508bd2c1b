"""`fabric`: self-attention to liked and disliked pictures (FABRIC, von Rütte et al. 2023, arXiv 2307.10159)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from prefbench.api import Context, Drawing, History, Judgment, Method, MethodCard, PrefbenchError, Profile, Request

from .shared.candidates import candidate_seeds
from .shared.groups import draw_in_groups
from .shared.latents import Noising, embed, encode
from .shared.reference_attention import GIVEN, Reference, ReferenceAttention


class Fabric(Method):
    """Liked pictures as further keys and values of the prompt's half of guidance, disliked ones of the other half.

    At every step the judged pictures are noised as far as the drawing is and pass through the denoiser without a text;
    what its self-attentions see of them, those of the drawing see beside its own. Nothing is trained. Where guidance is
    off there is no unconditional half, and dislikes change nothing.

    Args:
        weight: of a liked picture's token beside 1 for one of the drawing's own; 0 draws the prompt alone.
        disliked: weight of a disliked picture's token as a share of `weight`; 0 does not look at them.
        start: share of the way from noise to picture at which looking begins.
        end: and at which it ends.
        images: judged pictures that are looked at on each side, the last of each.
    """

    card = MethodCard(
        name="fabric",
        version="1",
        summary="self-attention to liked pictures, and to disliked ones where guidance leads away; uses both sides",
        paper="arXiv 2307.10159",
    )

    def __init__(
        self, *, weight: float = 3.0, disliked: float = 0.5, start: float = 0.0, end: float = 1.0, images: int = 8
    ) -> None:
        for name, value in (("weight", weight), ("disliked", disliked)):
            if not 0 <= value < float("inf"):
                raise PrefbenchError(f"{name} must be 0 or more and finite, got {value}")
        if not 0 <= start < end <= 1:
            raise PrefbenchError(f"start and end must be 0 <= start < end <= 1, got {start} and {end}")
        if images < 1:
            raise PrefbenchError(f"images must be at least 1, got {images}")
        self.weight, self.disliked, self.start, self.end, self.images = weight, disliked, start, end, images

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a denoiser that predicts neither noise nor velocity."""
        super().setup(context)
        backbone = context.backbone
        self.noising = Noising(backbone)
        self._nothing = embed(backbone, [""])[1]
        ReferenceAttention(
            backbone.pipeline.unet, self._choose, aligned=False, told=lambda passes: backbone.on_evaluations(passes)
        )

    def profile(self, history: History) -> Profile:
        """Latents (K, C, h, w) by side; only of sides that are looked at."""
        weights = {"liked": self.weight, "disliked": self.weight * self.disliked}
        sides = {"liked": history.liked, "disliked": history.disliked}
        seen = {name: self._latents(side) for name, side in sides.items() if side and weights[name]}
        return Profile(history.user, seen)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        # One call takes the same number of pictures for every sample.
        return draw_in_groups(requests, _counts, self._draw)

    def _draw(self, requests: Sequence[Request]) -> list[Drawing]:
        backbone, given = self.context.backbone, _stacked(requests)
        options: dict[str, Any] = {"cross_attention_kwargs": {GIVEN: given}} if given else {}
        seeds = [request.seed for request in requests]
        images = backbone.generate([request.prompt for request in requests], seeds, **options)
        steps = sum(self._looks(t) for t in self.noising.times)
        sides = ("liked", "disliked") if backbone.card.guidance > 1 else ("liked",)
        nfe = backbone.nfe + steps * sum(given[side].shape[1] for side in sides if side in given)
        return [Drawing(image, request.prompt, nfe) for image, request in zip(images, requests, strict=True)]

    def _choose(self, given: Mapping[str, Tensor], t: Tensor, halves: int) -> list[Reference | None]:
        sides = (("disliked", self.weight * self.disliked), ("liked", self.weight))[-halves:]
        return [self._reference(given, side, weight, t) for side, weight in sides]

    def _reference(self, given: Mapping[str, Tensor], side: str, weight: float, t: Tensor) -> Reference | None:
        if side not in given or not self._looks(t):
            return None
        noisy = self.noising.add(given[side], given[f"noise {side}"], t)
        rows = noisy.shape[0] * noisy.shape[1]
        embeds = {name: tensor.expand(rows, *tensor.shape[1:]) for name, tensor in self._nothing.items()}
        return Reference(noisy, embeds, weight)

    def _looks(self, t: Tensor) -> bool:
        return self.start <= self.noising.done(t) < self.end

    def _latents(self, judgments: Sequence[Judgment]) -> Tensor:
        return encode(self.context.backbone, [judgment.picture.load() for judgment in judgments[-self.images :]])


def _counts(request: Request) -> tuple[tuple[str, int], ...]:
    """Pictures by side."""
    return tuple((side, len(latents)) for side, latents in request.profile.payload.items())


def _stacked(requests: Sequence[Request]) -> dict[str, Tensor]:
    """The latents of each side (B, K, C, h, w), and noise for them that follows from each request's seed."""
    given: dict[str, Tensor] = {}
    for side in requests[0].profile.payload:
        given[side] = torch.stack([request.profile.payload[side] for request in requests])
        generators = [torch.Generator().manual_seed(candidate_seeds(request.seed, 2)[1]) for request in requests]
        given[f"noise {side}"] = torch.stack(
            [torch.randn(given[side].shape[1:], generator=generator) for generator in generators]
        )
    return given

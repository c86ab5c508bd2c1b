"""`style-aligned`: self-attention shared with inverted likes (StyleAligned, Hertz et al. 2023, arXiv 2312.02133)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from prefbench.api import Context, Drawing, History, Method, MethodCard, PrefbenchError, Profile, Request

from .shared.groups import draw_in_groups
from .shared.latents import Embeds, Noising, embed, encode, invert
from .shared.reference_attention import GIVEN, Reference, ReferenceAttention

_HALVES = ("unconditional ", "conditional ")


class StyleAligned(Method):
    """A drawing's queries and keys get the mean and spread of a liked picture's (AdaIN), whose tokens it attends to.

    The liked picture is run backwards into noise by DDIM under its own prompt, once per user; while a prompt is drawn,
    the denoiser looks at the picture on this way at every step, in both halves of guidance. Nothing is trained. Unlike
    in the authors' code, the normalisation layers are not shared.

    Args:
        weight: of a liked picture's token beside 1 for one of the drawing's own, the exponential of the paper's shift;
            0 draws the prompt alone, without AdaIN.
        images: liked pictures that are looked at together, the most typical first. The paper has one.
        start: share of the way from noise to picture at which looking begins.
        end: and at which it ends.
    """

    card = MethodCard(
        name="style-aligned",
        version="1",
        summary="self-attention shared by AdaIN with liked pictures that DDIM inverted under their prompts",
        paper="arXiv 2312.02133",
        uses_disliked=False,
        uses_prompts=True,
    )

    def __init__(self, *, weight: float = 8.0, images: int = 1, start: float = 0.0, end: float = 1.0) -> None:
        if not 0 <= weight < float("inf"):
            raise PrefbenchError(f"weight must be 0 or more and finite, got {weight}")
        if images < 1:
            raise PrefbenchError(f"images must be at least 1, got {images}")
        if not 0 <= start < end <= 1:
            raise PrefbenchError(f"start and end must be 0 <= start < end <= 1, got {start} and {end}")
        self.weight, self.images, self.start, self.end = weight, images, start, end

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a denoiser that predicts neither noise nor velocity."""
        super().setup(context)
        backbone = context.backbone
        self.noising = Noising(backbone)
        ReferenceAttention(
            backbone.pipeline.unet, self._choose, aligned=True, told=lambda passes: backbone.on_evaluations(passes)
        )

    def profile(self, history: History) -> Profile:
        """Prompts (K,) of liked pictures, `times` (S,), and their noisy latents (S, K, C, h, w) in half precision."""
        if not history.liked or not self.weight:
            return Profile(history.user, {})
        backbone = self.context.backbone
        latents = encode(backbone, [judgment.picture.load() for judgment in history.liked])
        rows = _typical(latents)[: self.images]
        prompts = [history.liked[row].prompt for row in rows]
        ways = [
            invert(backbone, self.noising, latents[[row]], embed(backbone, [prompt])[0])[1]
            for row, prompt in zip(rows, prompts, strict=True)
        ]
        return Profile(history.user, {"prompts": prompts, "way": torch.cat(ways, 1).half()})

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        # One call takes the same number of pictures for every sample.
        return draw_in_groups(requests, lambda request: len(request.profile.payload.get("prompts", ())), self._draw)

    def _draw(self, requests: Sequence[Request]) -> list[Drawing]:
        backbone, payloads = self.context.backbone, [request.profile.payload for request in requests]
        options: dict[str, Any] = {"cross_attention_kwargs": {GIVEN: self._stacked(payloads)}} if payloads[0] else {}
        seeds = [request.seed for request in requests]
        images = backbone.generate([request.prompt for request in requests], seeds, **options)
        looks = sum(self._looks(t) for t in self.noising.times) * len(payloads[0].get("prompts", ()))
        nfe = backbone.nfe + looks * (2 if backbone.card.guidance > 1 else 1)
        return [Drawing(image, request.prompt, nfe) for image, request in zip(images, requests, strict=True)]

    def _stacked(self, payloads: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The ways of all (B, S, K, C, h, w), and their texts' embeddings (B, K, ...) for each half of guidance."""
        given = {"way": torch.stack([payload["way"].float() for payload in payloads])}
        sides = zip(*(embed(self.context.backbone, payload["prompts"]) for payload in payloads), strict=True)
        for half, texts in zip(_HALVES[::-1], sides, strict=True):
            given |= {f"{half}{name}": torch.stack([text[name] for text in texts]) for name in texts[0]}
        return given

    def _choose(self, given: Mapping[str, Tensor], t: Tensor, halves: int) -> list[Reference | None]:
        if not self._looks(t):
            return [None] * halves
        noisy = given["way"][:, int((self.noising.times.unique() - float(t)).abs().argmin())]
        return [Reference(noisy, _texts(given, half), self.weight) for half in _HALVES[-halves:]]

    def _looks(self, t: Tensor) -> bool:
        return self.start <= self.noising.done(t) < self.end


def _texts(given: Mapping[str, Tensor], half: str) -> Embeds:
    """The embeddings (B * K, ...) of one half of guidance."""
    return {name.removeprefix(half): rows.flatten(0, 1) for name, rows in given.items() if name.startswith(half)}


def _typical(latents: Tensor) -> list[int]:
    """Rows of latents (N, C, h, w), those first whose channels have the most usual means and spreads."""
    spatial = latents.flatten(2)
    moments = F.normalize(torch.cat([spatial.mean(2), spatial.std(2)], 1), dim=1)
    order: list[int] = (moments @ moments.mean(0)).argsort(descending=True, stable=True).tolist()
    return order

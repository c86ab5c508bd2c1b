"""Pictures as latents of a backbone, noised, denoised and inverted: the same lines for Stable Diffusion 1.5 and XL."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from prefbench.api import Backbone, PrefbenchError
from prefbench.models.backbones.schedulers import fresh
from prefbench.training.adapter import added_conditions

Embeds = Mapping[str, Tensor]
"""A text as the denoiser takes it: `prompt_embeds` (B, L, D), with two text encoders `pooled_prompt_embeds` (B, D)."""


@torch.no_grad()
def encode(backbone: Backbone, pictures: Sequence[Image.Image]) -> Tensor:
    """The latents (N, C, h, w) of whole pictures, resized to the backbone's resolution; float32 in main memory."""
    vae, side, processor = backbone.pipeline.vae, backbone.card.resolution, backbone.pipeline.image_processor
    narrow = vae.dtype == torch.float16 and vae.config.force_upcast
    if narrow:
        vae.to(dtype=torch.float32)
    try:
        rows = []
        for picture in pictures:  # alone, so that its latent does not depend on its neighbours
            fitted = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            pixels = processor.preprocess(fitted).to(backbone.device, vae.dtype)
            rows.append(vae.encode(pixels).latent_dist.mode().float().cpu() * vae.config.scaling_factor)
    finally:
        if narrow:
            vae.to(dtype=torch.float16)
    return torch.cat(rows)


def embed(backbone: Backbone, texts: Sequence[str]) -> tuple[Embeds, Embeds]:
    """Texts as conditions, and the unconditional half of guidance beside each of them."""
    encoded = backbone.pipeline.encode_prompt(
        prompt=list(texts), device=backbone.device, num_images_per_prompt=1, do_classifier_free_guidance=True
    )
    # (conditional, unconditional), and with two text encoders the same again for the pooled embeddings.
    names = ("prompt_embeds", "pooled_prompt_embeds")
    return dict(zip(names, encoded[::2], strict=False)), dict(zip(names, encoded[1::2], strict=False))


def predict(unet: Any, noisy: Tensor, t: Tensor, embeds: Embeds, **options: Any) -> Tensor:
    """What the denoiser says of noisy latents (B, C, h, w) at time steps (B,) or ()."""
    added = added_conditions(unet, embeds, noisy.shape)
    text = embeds["prompt_embeds"].to(unet.dtype)
    predicted: Tensor = unet(noisy.to(unet.dtype), t, text, added_cond_kwargs=added, return_dict=False, **options)[0]
    return predicted


class Noising:
    """The noise schedule of a backbone, in the form that its denoiser takes: signal² + noise² = 1 for every sampler.

    Raises:
        PrefbenchError: a denoiser that predicts neither noise nor velocity.
    """

    def __init__(self, backbone: Backbone) -> None:
        scheduler = fresh(backbone.pipeline.scheduler)
        self.predicts = str(scheduler.config.prediction_type)
        if self.predicts not in ("epsilon", "v_prediction"):
            raise PrefbenchError(f"backbone {backbone.card.name!r} predicts {self.predicts}, not noise or velocity")
        self.kept = scheduler.alphas_cumprod.float()
        scheduler.set_timesteps(backbone.card.steps)
        self.times = scheduler.timesteps.float().cpu()
        """Of each call of the denoiser, from noise to picture; some samplers repeat some."""

    def rates(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The shares of signal and of noise at a time step."""
        kept = self.kept[torch.as_tensor(t).round().long().cpu().clamp(0, len(self.kept) - 1)]
        return kept.sqrt(), (1 - kept).sqrt()

    def done(self, t: Tensor | float) -> float:
        """How far drawing is at a time step: 0 at pure noise, towards 1 at the picture."""
        return 1 - float(t) / len(self.kept)

    def add(self, latents: Tensor, noise: Tensor, t: Tensor | float) -> Tensor:
        """Latents at a time step."""
        signal, spread = self.rates(t)
        return float(signal) * latents + float(spread) * noise

    def split(self, predicted: Tensor, noisy: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The picture and the noise in noisy latents by a prediction (Salimans and Ho 2022, arXiv 2202.00512, D)."""
        signal, spread = map(float, self.rates(t))
        if self.predicts == "epsilon":
            return (noisy - spread * predicted) / signal, predicted
        return signal * noisy - spread * predicted, spread * noisy + signal * predicted


_LEAST = 50
"""Steps of an inversion at least: with the 16 of the miniature's sampler, drawing a picture again from its noise misses
it by 15 levels of 255 on average, with 50 by 7."""


@torch.no_grad()
def invert(backbone: Backbone, noising: Noising, latents: Tensor, embeds: Embeds) -> tuple[Tensor, Tensor]:
    """The way of pictures (K, C, h, w) into noise by DDIM run backwards (Song et al. 2021, arXiv 2010.02502, eq. 13).

    Returns:
        The sampler's time steps (S,), from the least noise to the most, and the noisy latents (S, K, C, h, w) at them.
    """
    times = noising.times.unique()
    rows, noisy, before = [], latents.to(backbone.device), torch.zeros(())
    for t in times:
        for now, after in pairwise(torch.linspace(float(before), float(t), 1 + math.ceil(_LEAST / len(times))).round()):
            predicted = predict(backbone.pipeline.unet, noisy, now.to(backbone.device), embeds).float()
            noisy = noising.add(*noising.split(predicted, noisy, now), after)
        rows.append(noisy.cpu())
        before = t
    return times, torch.stack(rows)

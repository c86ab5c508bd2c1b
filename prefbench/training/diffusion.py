"""Trains the denoiser and the text tower of a Stable Diffusion pipeline on pictures with captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, StableDiffusionPipeline
from numpy.typing import NDArray
from torch import Tensor, nn

from prefbench.training.loop import Batch


class CaptionedPictures(Protocol):
    """What a diffusion model can be trained on."""

    @property
    def pictures(self) -> NDArray[np.uint8]: ...

    def __len__(self) -> int: ...

    def caption(self, index: int, rng: np.random.Generator) -> str: ...


class DenoisingTask(nn.Module):
    """Velocity prediction (Salimans & Ho 2022) with SNR weights clipped from above, text tower trained along.

    The weight of a step is min(SNR + 1, cap) / (SNR + 1): Min-SNR (Hang et al. 2023, arXiv 2303.09556) written for the
    velocity, but without its vanishing weight at high noise, where the prompt decides what the picture shows.
    """

    def __init__(self, pipeline: StableDiffusionPipeline, *, snr_cap: float = 6.0) -> None:
        super().__init__()
        self.unet = pipeline.unet
        self.text_encoder = pipeline.text_encoder
        self.scale = float(pipeline.vae.config.scaling_factor)
        self.encode = pipeline.vae.encode
        schedule = DDPMScheduler.from_config(pipeline.scheduler.config)
        self.register_buffer("alphas_cumprod", schedule.alphas_cumprod.float(), persistent=False)
        self.snr_cap = snr_cap

    def forward(self, batch: Batch) -> Tensor:
        """The weighted velocity error of a batch: pictures (B, 3, H, W) in [-1, 1], tokens (B, L), u, noise."""
        latents = self.encode(batch["pictures"]).latent_dist.mode() * self.scale
        states = self.text_encoder(batch["tokens"])[0]
        alphas: Tensor = self.get_buffer("alphas_cumprod")
        t = (batch["u"] * len(alphas)).long().clamp(max=len(alphas) - 1)
        alpha = alphas[t].view(-1, 1, 1, 1)
        signal, spread = alpha.sqrt(), (1 - alpha).sqrt()
        noisy = signal * latents + spread * batch["noise"]
        velocity = signal * batch["noise"] - spread * latents
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        predicted = self.unet(noisy, t, states, return_dict=False)[0]
        error = F.mse_loss(predicted, velocity, reduction="none").mean((1, 2, 3))
        capped: Tensor = ((1 - alpha).flatten() * self.snr_cap).clamp(max=1.0)
        return (capped * error).mean()


class CaptionBatches:
    """Draws batches for `DenoisingTask`; a share of the captions that name no style is emptied for guidance.

    Only captions without style words are emptied, so that the unconditional model shows the same default style as
    an unstyled prompt, and guidance does not push styles that nobody asked for.
    """

    def __init__(self, data: CaptionedPictures, tokenizer: object, *, plain: Sequence[bool], empty: float) -> None:
        self.data, self.tokenizer = data, tokenizer
        self.plain, self.empty = plain, empty

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        chosen = rng.integers(len(self.data), size=size)
        captions = [self._caption(int(i), rng) for i in chosen]
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")  # type: ignore[operator]
        pictures = torch.from_numpy(self.data.pictures[chosen]).permute(0, 3, 1, 2).float() / 127.5 - 1
        channels = pictures.shape[1] * 4, pictures.shape[2] // 2, pictures.shape[3] // 2
        noise = torch.from_numpy(rng.standard_normal((size, *channels), dtype=np.float32))
        return {"pictures": pictures, "tokens": tokens.input_ids, "u": _noise_levels(rng, size), "noise": noise}

    def _caption(self, index: int, rng: np.random.Generator) -> str:
        if self.plain[index] and rng.random() < self.empty:
            return ""
        return self.data.caption(index, rng)


def _noise_levels(rng: np.random.Generator, size: int, *, uniform: float = 0.25) -> Tensor:
    """Positions in the noise schedule, (size,) in [0, 1), stratified over the batch.

    Three in four are logit-normal (Esser et al. 2024, arXiv 2403.03206), which puts the effort where shapes and
    patterns are decided; the rest are uniform, so that pure noise, where sampling starts, is learned too.
    """
    u = torch.from_numpy((np.arange(size) + rng.random(size)) / size)
    peaked = torch.sigmoid(torch.special.ndtri(u.clamp(1e-4, 1 - 1e-4)) - 0.3)
    return torch.where(torch.from_numpy(rng.random(size) < uniform), u, peaked)

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

from prefbench.api import PrefbenchError
from prefbench.training.loop import Batch

SHAPES_DECIDED, LOOKS_DECIDED = -0.3, 0.8
"""Locations of noise levels, see `noise_levels`: for a denoiser that learns to draw, and for an adapter that learns
whose picture to draw, which is decided where hardly anything is seen yet."""


class CaptionedPictures(Protocol):
    """Training data of a diffusion model."""

    @property
    def pictures(self) -> NDArray[np.uint8]: ...

    def __len__(self) -> int: ...

    def caption(self, index: int, rng: np.random.Generator) -> str: ...


class NoiseSchedule(nn.Module):
    """Adds noise to latents, and measures the error of a denoiser that predicts velocity or noise.

    The weight of a step is min(SNR + 1, cap) / (SNR + 1) on the velocity: Min-SNR (Hang et al. 2023, arXiv 2303.09556)
    written for the velocity (Salimans & Ho 2022), but without its vanishing weight at high noise, where the prompt
    decides what the picture shows. On predicted noise it is the Min-SNR weight itself, min(SNR, cap) / SNR.

    Raises:
        PrefbenchError: a schedule whose denoiser predicts something else.
    """

    def __init__(self, scheduler: object, *, snr_cap: float = 6.0) -> None:
        super().__init__()
        schedule = DDPMScheduler.from_config(scheduler.config)  # type: ignore[attr-defined]
        self.kind = str(schedule.config.prediction_type)
        if self.kind not in ("v_prediction", "epsilon"):
            raise PrefbenchError(f"cannot train a denoiser that predicts {self.kind!r}, only v_prediction and epsilon")
        self.register_buffer("alphas_cumprod", schedule.alphas_cumprod.float(), persistent=False)
        self.snr_cap = snr_cap

    def add_noise(self, latents: Tensor, u: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Noisy latents (B, C, h, w), channels last, and time steps (B,) for positions u (B,) in [0, 1)."""
        t = (u * len(self._alphas)).long().clamp(max=len(self._alphas) - 1)
        alpha = self._alphas[t].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        return noisy.contiguous(memory_format=torch.channels_last), t

    def loss(self, predicted: Tensor, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The weighted squared error of a prediction, the mean over the batch."""
        alpha = self._alphas[t].view(-1, 1, 1, 1)
        spread = (1 - alpha).flatten()
        if self.kind == "epsilon":
            target, weight = noise, (self.snr_cap * spread / (1 - spread)).clamp(max=1.0)
        else:
            target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
            weight = (spread * self.snr_cap).clamp(max=1.0)
        error = F.mse_loss(predicted.float(), target, reduction="none").mean((1, 2, 3))
        return (weight * error).mean()

    @property
    def _alphas(self) -> Tensor:
        return self.get_buffer("alphas_cumprod")


class DenoisingTask(nn.Module):
    """Trains the denoiser of a pipeline, the text tower along with it."""

    def __init__(self, pipeline: StableDiffusionPipeline, *, snr_cap: float = 6.0) -> None:
        super().__init__()
        self.unet = pipeline.unet
        self.text_encoder = pipeline.text_encoder
        self.scale = float(pipeline.vae.config.scaling_factor)
        self.encode = pipeline.vae.encode
        self.schedule = NoiseSchedule(pipeline.scheduler, snr_cap=snr_cap)

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch: pictures (B, 3, H, W) in [-1, 1], tokens (B, L), u, noise."""
        latents = self.encode(batch["pictures"]).latent_dist.mode() * self.scale
        states = self.text_encoder(batch["tokens"])[0]
        noisy, t = self.schedule.add_noise(latents, batch["u"], batch["noise"])
        predicted = self.unet(noisy, t, states, return_dict=False)[0]
        return self.schedule.loss(predicted, latents, batch["noise"], t)


class CaptionBatches:
    """Draws batches for `DenoisingTask`; a share of the captions that name no style is emptied for guidance.

    Only captions without style words are emptied, so that the unconditional model shows the same default style as
    an unstyled prompt, and guidance does not push styles that nobody asked for.
    """

    def __init__(self, data: CaptionedPictures, tokenizer: object, *, plain: Sequence[bool], empty: float) -> None:
        self.data, self.tokenizer = data, tokenizer
        self.plain, self.empty = plain, empty

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        rows = rng.integers(len(self.data), size=size)
        captions = [self._caption(int(i), rng) for i in rows]
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")  # type: ignore[operator]
        pictures = torch.from_numpy(self.data.pictures[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
        channels = pictures.shape[1] * 4, pictures.shape[2] // 2, pictures.shape[3] // 2
        noise = torch.from_numpy(rng.standard_normal((size, *channels), dtype=np.float32))
        return {"pictures": pictures, "tokens": tokens.input_ids, "u": noise_levels(rng, size), "noise": noise}

    def _caption(self, index: int, rng: np.random.Generator) -> str:
        if self.plain[index] and rng.random() < self.empty:
            return ""
        return self.data.caption(index, rng)


def noise_levels(
    rng: np.random.Generator, size: int, *, uniform: float = 0.25, location: float = SHAPES_DECIDED
) -> Tensor:
    """Positions in the noise schedule, (size,) in [0, 1), stratified over the batch.

    Three in four are logit-normal (Esser et al. 2024, arXiv 2403.03206), which weighs the noise levels where shapes and
    patterns are decided; the rest are uniform, so that pure noise, where sampling starts, is learned too.

    Args:
        location: the mean of the logit-normal ones' logits; the greater, the more noise.
    """
    u = torch.from_numpy((np.arange(size) + rng.random(size)) / size)
    peaked = torch.sigmoid(torch.special.ndtri(u.clamp(1e-4, 1 - 1e-4)) + location)
    return torch.where(torch.from_numpy(rng.random(size) < uniform), u, peaked)

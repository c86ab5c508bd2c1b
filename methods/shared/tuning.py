"""A few steps of the denoising loss on one user's likes, for methods that train something of every user's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from prefbench.api import Backbone, History
from prefbench.training.diffusion import NoiseSchedule, noise_levels

from .latents import Embeds, encode, predict

IDENTIFIER = "*"
"""Stands for the user in a prompt, as in textual inversion: a token of CLIP's vocabulary that prompts hardly use."""


def freeze(backbone: Backbone) -> None:
    """Lets no weight of the backbone be trained."""
    for part in backbone.pipeline.components.values():
        if isinstance(part, nn.Module):
            part.requires_grad_(False)


def with_identifier(prompt: str) -> str:
    """The prompt, with the user named in it."""
    return f"{prompt}, {IDENTIFIER}"


class LikesTuner:
    """Trains on a user's liked pictures, each under its own prompt with the user named in it.

    The pictures, noise levels and noise of a step follow from the likes and their prompts alone: a user's training can
    be repeated, and nothing that it does not use changes it.

    Args:
        steps: of AdamW.
        rate: its learning rate.
        batch: pictures per step, drawn with replacement.
    """

    def __init__(self, backbone: Backbone, *, steps: int, rate: float, batch: int) -> None:
        self.backbone, self.steps, self.rate, self.batch = backbone, steps, rate, batch
        self.schedule = NoiseSchedule(backbone.pipeline.scheduler).to(backbone.device)

    def train(
        self, history: History, parameters: Sequence[Tensor], embed: Callable[[Sequence[str]], Embeds]
    ) -> list[float]:
        """Trains `parameters`; returns the loss of each step.

        Args:
            embed: prompts as the denoiser takes them; it may lead to `parameters`.
        """
        latents = encode(self.backbone, [judgment.picture.load() for judgment in history.liked])
        prompts = [with_identifier(judgment.prompt) for judgment in history.liked]
        optimizer = torch.optim.AdamW(parameters, lr=self.rate, weight_decay=0.0)
        losses, seed = [], _seed(history)
        for step in range(self.steps):
            rng = np.random.default_rng([seed, step])
            rows = rng.integers(len(prompts), size=self.batch).tolist()
            with torch.enable_grad():
                loss = self._loss(latents[rows], embed([prompts[row] for row in rows]), rng)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    def _loss(self, latents: Tensor, embeds: Embeds, rng: np.random.Generator) -> Tensor:
        backbone = self.backbone
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32)).to(backbone.device)
        latents, u = latents.to(backbone.device), noise_levels(rng, len(latents)).to(backbone.device)
        noisy, t = self.schedule.add_noise(latents, u, noise)
        mixed = backbone.dtype != torch.float32
        with torch.autocast(backbone.device.type, backbone.dtype if mixed else torch.bfloat16, enabled=mixed):
            predicted = predict(backbone.pipeline.unet, noisy, t, embeds)
        return self.schedule.loss(predicted, latents, noise, t)


def _seed(history: History) -> int:
    """A number of what is trained on."""
    used = "\n".join(f"{judgment.picture.digest} {judgment.prompt}" for judgment in history.liked)
    return int(hashlib.sha256(used.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16)

"""What a backbone's denoiser takes a picture for: noise is put on it and taken off again, in one step.

What the denoiser could have drawn comes back nearly as it was; what it could not have drawn, such as noise that follows
an instrument's gradient, is taken off (as in DiffPure, Nie et al. 2022, arXiv 2205.07460).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from prefbench.api import FloatArray, PrefbenchError
from prefbench.api.backbones import Backbone
from prefbench.api.gradients import Slopes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_BATCH = 50
PIPELINE = "StableDiffusionPipeline"


class Denoiser:
    """The denoiser of a backbone, without a prompt.

    Args:
        backbone: Stable Diffusion of the first kind, whose text goes in by cross-attention alone.

    Raises:
        PrefbenchError: another kind of backbone.
    """

    def __init__(self, backbone: Backbone) -> None:
        if backbone.card.pipeline != PIPELINE:
            raise PrefbenchError(f"backbone {backbone.card.name!r} is no {PIPELINE}: its denoiser is not asked")
        self.side = backbone.card.resolution
        self._pipeline = cast("Any", backbone.pipeline)
        self._backbone = backbone

    @torch.no_grad()
    def cleaned(self, pictures: FloatArray, steps: Sequence[int], seeds: Sequence[int]) -> FloatArray:
        """Pictures (N, H, W, 3) in levels of 0 to 255, as the denoiser reconstructs them.

        Args:
            steps: one per picture: the training step whose noise is put on it, 0 for the least.
            seeds: one per picture: decides the noise.
        """
        parts = [
            self._levels(self._reconstructed(_tensor(pictures[k]), steps[k], seeds[k]))
            for k in (slice(i, i + _BATCH) for i in range(0, len(pictures), _BATCH))
        ]
        return np.concatenate(parts)

    def slopes_through(
        self, pictures: FloatArray, steps: Sequence[int], seeds: Sequence[int], slopes: Callable[[FloatArray], Slopes]
    ) -> Slopes:
        """What an instrument says of the reconstructions, and how it changes with the pictures before them."""
        with torch.enable_grad():
            before = _tensor(pictures).requires_grad_()
            after = self._reconstructed(before, steps, seeds)
            said = slopes(np.clip(self._levels(after.detach()), 0, 255))
            pull = torch.from_numpy(said.gradients).to(after).permute(0, 3, 1, 2)
            (gradients,) = torch.autograd.grad(after, before, pull)
        return Slopes(said.values, self._levels(gradients))

    def _reconstructed(self, levels: Tensor, steps: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """The mean picture given a noisy one: x0 = (x_t - s e) / a, or a x_t - s v where v is predicted (Salimans and
        Ho 2022, arXiv 2202.00512, appendix D).
        """
        pipeline, backbone = self._pipeline, self._backbone
        vae, scale = pipeline.vae, pipeline.vae.config.scaling_factor
        latents = vae.encode((levels / 127.5 - 1).to(backbone.device, backbone.dtype)).latent_dist.mode() * scale
        at = torch.tensor(list(steps))
        kept = pipeline.scheduler.alphas_cumprod[at].to(latents).view(-1, 1, 1, 1)
        signal, noise = kept.sqrt(), (1 - kept).sqrt()
        noisy = signal * latents + noise * _noise(latents, seeds)
        predicted = pipeline.unet(noisy, at.to(backbone.device), encoder_hidden_states=self._empty(len(latents))).sample
        clean = signal * noisy - noise * predicted if self._predicts_v else (noisy - noise * predicted) / signal
        decoded: Tensor = (vae.decode(clean / scale).sample.float().cpu() + 1) * 127.5
        return decoded

    @property
    def _predicts_v(self) -> bool:
        return str(self._pipeline.scheduler.config.prediction_type) == "v_prediction"

    def _empty(self, n: int) -> Tensor:
        pipeline = self._pipeline
        length = pipeline.tokenizer.model_max_length
        with torch.no_grad():
            tokens = pipeline.tokenizer([""], padding="max_length", max_length=length, return_tensors="pt").input_ids
            embedded: Tensor = pipeline.text_encoder(tokens.to(self._backbone.device))[0]
        return embedded.expand(n, -1, -1)

    @staticmethod
    def _levels(pictures: Tensor) -> FloatArray:
        levels: FloatArray = pictures.permute(0, 2, 3, 1).double().numpy()
        return levels


def _tensor(pictures: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).permute(0, 3, 1, 2)


def _noise(latents: Tensor, seeds: Sequence[int]) -> Tensor:
    rows = [torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows).to(latents)

"""A lossless autoencoder with no weights: every 2x2 block of pixels becomes one latent cell.

At 32x32 a learned autoencoder loses the fine patterns that preferences are about; moving pixels into channels loses
nothing and needs no training. It has the interface that `StableDiffusionPipeline` asks of a VAE.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, cat, full_like, nn, zeros


class SpaceToDepthAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Images (B, 3, H, W) in [-1, 1] to latents (B, 12, H/2, W/2) of the same values, and back.

    Args:
        scaling_factor: what pipelines multiply latents by; 1 / the standard deviation of the training pixels.
        block_out_channels: only its length matters; pipelines take the down-sampling factor 2 ** (length - 1) from it.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 3,
        latent_channels: int = 12,
        block_out_channels: tuple[int, ...] = (12, 12),  # noqa: ARG002
        scaling_factor: float = 1.8,  # noqa: ARG002
        force_upcast: bool = False,  # noqa: ARG002
        sample_size: int = 32,  # noqa: ARG002
    ) -> None:
        super().__init__()
        if latent_channels != 4 * in_channels:
            raise ValueError(f"latent_channels must be 4 x in_channels = {4 * in_channels}, got {latent_channels}")
        # Pipelines ask a VAE for its dtype and device, which a module without parameters cannot tell.
        self.anchor = nn.Parameter(zeros(1), requires_grad=False)

    def encode(self, x: Tensor, return_dict: bool = True) -> Any:
        """The latent distribution; its variance is (numerically) zero."""
        mean = F.pixel_unshuffle(x, 2)
        distribution = DiagonalGaussianDistribution(cat([mean, full_like(mean, -60.0)], dim=1))
        return AutoencoderKLOutput(latent_dist=distribution) if return_dict else (distribution,)

    def decode(self, z: Tensor, return_dict: bool = True, generator: Any = None) -> Any:  # noqa: ARG002
        image = F.pixel_shuffle(z, 2)
        return DecoderOutput(sample=image) if return_dict else (image,)

    def forward(self, sample: Tensor, return_dict: bool = True) -> Any:
        return self.decode(self.encode(sample).latent_dist.mode(), return_dict=return_dict)

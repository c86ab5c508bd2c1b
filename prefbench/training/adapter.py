"""A second cross-attention beside the frozen one of a denoiser (IP-Adapter, Ye et al. 2023, arXiv 2308.06721).

Attention processors and the place of the projection are those of diffusers, so what is trained here is driven through
`ip_adapter_image_embeds` like any public adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import MultiIPAdapterImageProjection
from torch import Tensor, nn

from prefbench.training.diffusion import NoiseSchedule
from prefbench.training.frozen import Frozen
from prefbench.training.loop import Batch


class Adapter(nn.Module):
    """The trained modules: a projection of features to tokens, and keys and values for them in every cross-attention.

    Fresh keys and values start as copies of the frozen ones for text, so from the first step on, tokens in the space of
    the text encoder act like words.

    Args:
        unet: its attention processors are replaced.
        projection: features (B, ...) to tokens (B, T, D), D the width of the denoiser's cross-attention.
        tokens: T.
    """

    def __init__(self, unet: Any, projection: nn.Module, *, tokens: int) -> None:
        super().__init__()
        self.projection = projection
        processors: dict[str, Any] = {}
        self.names: list[str] = []
        layers = []
        for name, processor in unet.attn_processors.items():
            processors[name] = processor
            if name.endswith("attn2.processor"):
                processors[name] = _second(unet.get_submodule(name.removesuffix(".processor")), tokens)
                self.names.append(name)
                layers.append(processors[name])
        self.layers = nn.ModuleList(layers)
        unet.set_attn_processor(processors)
        unet.encoder_hid_proj = MultiIPAdapterImageProjection([projection])
        unet.config.encoder_hid_dim_type = "ip_image_proj"
        self.to(device=unet.device, dtype=unet.dtype)

    def set_scale(self, scale: float) -> None:
        """Weight of the second cross-attention's output."""
        for layer in self.layers:
            cast(IPAdapterAttnProcessor2_0, layer).scale = [scale]


def _second(attention: Any, tokens: int) -> IPAdapterAttnProcessor2_0:
    width, text = attention.to_k.weight.shape
    processor = IPAdapterAttnProcessor2_0(width, text, num_tokens=(tokens,))
    processor.to_k_ip[0].weight.data.copy_(attention.to_k.weight)
    processor.to_v_ip[0].weight.data.copy_(attention.to_v.weight)
    return processor


class AdapterTask(nn.Module):
    """The denoising loss with everything but the adapter frozen.

    Batch: pictures (B, 3, H, W) in [-1, 1], features (B, ...), u, noise, and the prompts' embeddings under the names
    that `PromptEmbedder` gives them.
    """

    def __init__(self, pipeline: Any, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter
        pipeline.unet.requires_grad_(False)
        adapter.requires_grad_(True)
        self.schedule = NoiseSchedule(pipeline.scheduler)
        self._unet, self._vae = Frozen(pipeline.unet), Frozen(pipeline.vae)
        self.scale = float(pipeline.vae.config.scaling_factor)

    def forward(self, batch: Batch) -> Tensor:
        unet, vae = self._unet.module, self._vae.module
        with torch.no_grad():
            latents = vae.encode(batch["pictures"].to(vae.dtype)).latent_dist.mode() * self.scale
        noisy, t = self.schedule.add_noise(latents.float(), batch["u"], batch["noise"])
        conditions = added_conditions(unet, batch, latents.shape) | {"image_embeds": [batch["features"][:, None]]}
        text = batch["prompt_embeds"].to(unet.dtype)
        predicted = unet(noisy.to(unet.dtype), t, text, added_cond_kwargs=conditions, return_dict=False)[0]
        return self.schedule.loss(predicted, latents.float(), batch["noise"], t)


def added_conditions(unet: Any, batch: Mapping[str, Tensor], shape: torch.Size) -> dict[str, Any]:
    """The inputs of SDXL's denoiser beside the text: the pooled embedding, and sizes as of an uncropped picture."""
    if "pooled_prompt_embeds" not in batch:
        return {}
    side = 8 * shape[-1]
    ids = torch.tensor([[side, side, 0, 0, side, side]], device=unet.device, dtype=unet.dtype).repeat(shape[0], 1)
    return {"text_embeds": batch["pooled_prompt_embeds"].to(unet.dtype), "time_ids": ids}

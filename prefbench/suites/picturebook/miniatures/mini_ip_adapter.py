"""`mini-ip-adapter`: an IP-Adapter for `mini-sd` in the layout that diffusers' `load_ip_adapter` reads.

Trained as the public ones are: a picture is drawn from its prompt and its own image embedding, so at test time a
picture of another content passes on what its prompt does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers.models.embeddings import ImageProjection
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from prefbench.files import WEIGHTS, atomic_file
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.loading import strict_loading
from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.suites.picturebook.miniatures.mini_clip import EMBEDDING, to_pixels
from prefbench.suites.picturebook.miniatures.mini_vision import load_mini_vision
from prefbench.suites.picturebook.world.render import SIZE
from prefbench.training.adapter import Adapter, AdapterTask
from prefbench.training.diffusion import noise_levels
from prefbench.training.loop import Batch, FitConfig, Progress, fit

FILE = "ip-adapter.safetensors"
TOKENS = 4
"""Image tokens in the layout of the public adapters."""


def build_mini_ip_adapter(backbone: DiffusersBackbone, seed: int = 0) -> Adapter:
    """The untrained adapter, attached to the backbone."""
    torch.manual_seed(seed)
    unet = backbone.pipeline.unet
    return Adapter(unet, ImageProjection(EMBEDDING, unet.config.cross_attention_dim, TOKENS), tokens=TOKENS)


class _Batches:
    """Pictures with their prompts and their own embeddings; a share has no prompt, no picture, or neither."""

    def __init__(self, corpus: Corpus, backbone: DiffusersBackbone, *, dropped: float = 0.05) -> None:
        self.corpus = corpus
        self.prompts = backbone.prompts
        self.dropped = dropped
        self.embeddings = image_embeddings(self.corpus.pictures)

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        rows = rng.integers(len(self.corpus), size=size)
        fate = rng.random(size)
        no_text = (fate < self.dropped) | (fate > 1 - self.dropped)
        no_picture = fate < 2 * self.dropped
        texts = ["" if none else self.corpus.caption(int(row), rng) for row, none in zip(rows, no_text, strict=True)]
        embeds = torch.cat([self.prompts(text)["prompt_embeds"] for text in texts])
        features = self.embeddings[rows] * torch.from_numpy(~no_picture)[:, None]
        pictures = torch.from_numpy(self.corpus.pictures[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
        noise = torch.from_numpy(rng.standard_normal((size, 12, SIZE // 2, SIZE // 2), dtype=np.float32))
        return {
            "pictures": pictures,
            "features": features,
            "prompt_embeds": embeds,
            "u": noise_levels(rng, size),
            "noise": noise,
        }


@torch.inference_mode()
def image_embeddings(pictures: NDArray[np.uint8]) -> Tensor:
    """The adapter's condition: embeddings (N, 96) by `mini-vision` of pictures uint8 (N, 32, 32, 3)."""
    tower = load_mini_vision()
    batches = (pictures[i : i + 256] for i in range(0, len(pictures), 256))
    return torch.cat([tower(pixel_values=to_pixels(batch, SIZE)).image_embeds for batch in batches]).clone()


def train_mini_ip_adapter(corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> tuple[Adapter, Progress]:
    """Trains the adapter of the shipped `mini-sd` on one corpus of captioned pictures."""
    (corpus,) = corpora
    backbone = load_backbone("mini-sd")
    adapter = build_mini_ip_adapter(backbone, config.seed)
    progress = fit(AdapterTask(backbone.pipeline, adapter), _Batches(corpus, backbone), config, folder)
    return adapter, progress


def save_mini_ip_adapter(adapter: Adapter, folder: Path) -> None:
    """Writes `ip-adapter.safetensors` in the public layout; weights in float16."""
    names = {"image_embeds.weight": "proj.weight", "image_embeds.bias": "proj.bias"}
    state = {f"image_proj.{names.get(k, k)}": v for k, v in adapter.projection.state_dict().items()}
    for i, layer in enumerate(adapter.layers):
        for part in ("to_k_ip", "to_v_ip"):
            # Odd numbers: the layout counts the self-attentions too.
            state[f"ip_adapter.{2 * i + 1}.{part}.weight"] = getattr(layer, part)[0].weight
    with atomic_file(folder / FILE) as temporary:
        save_file({name: tensor.detach().half().contiguous() for name, tensor in state.items()}, temporary)


def load_mini_ip_adapter(folder: Path = WEIGHTS / "mini-ip-adapter") -> DiffusersBackbone:
    """The shipped `mini-sd` on the CPU with a trained adapter, through the public loader."""
    backbone = load_backbone("mini-sd", device="cpu")
    with strict_loading("mini-ip-adapter", folder, diffusers):
        backbone.pipeline.load_ip_adapter(
            str(folder), subfolder="", weight_name=FILE, image_encoder_folder=None, local_files_only=True
        )
    return backbone

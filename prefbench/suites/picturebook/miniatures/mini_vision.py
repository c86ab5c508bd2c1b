"""`mini-vision`: a transformers image tower that embeds pictures where `mini-clip` does.

Adapters and multimodal models take a `CLIPVisionModelWithProjection`. The convolutional tower that learns this
world best has no such class, so a small vision transformer is taught its embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from prefbench.files import WEIGHTS
from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.suites.picturebook.miniatures.mini_clip import EMBEDDING, MEAN, STD, load_mini_clip, to_pixels
from prefbench.suites.picturebook.world.render import SIZE
from prefbench.training.contrastive import DistillationTask
from prefbench.training.loop import Batch, FitConfig, Progress, fit


def build_mini_vision(seed: int = 0) -> CLIPVisionModelWithProjection:
    """The untrained tower: patches of 4, 4 layers, 96 wide."""
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=96,
        intermediate_size=288,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=4,
        projection_dim=EMBEDDING,
        hidden_act="gelu",
    )
    return CLIPVisionModelWithProjection(config)


def image_processor() -> CLIPImageProcessor:
    """The processor that turns pictures of any size into the tower's pixels."""
    size = {"height": SIZE, "width": SIZE}
    return CLIPImageProcessor(size=size, crop_size=size, image_mean=list(MEAN), image_std=list(STD))


def train_mini_vision(
    corpora: Sequence[Corpus], config: FitConfig, folder: Path
) -> tuple[CLIPVisionModelWithProjection, Progress]:
    """Distils the image tower of the shipped `mini-clip` into the transformers one, on the pictures of all corpora."""
    pictures = np.concatenate([corpus.pictures for corpus in corpora])

    def draw(rng: np.random.Generator, size: int) -> Batch:
        sample = pictures[rng.integers(len(pictures), size=size)]
        return {"pixels": to_pixels(sample), "student_pixels": to_pixels(sample, SIZE)}

    tower = build_mini_vision(config.seed)
    progress = fit(DistillationTask(load_mini_clip(), tower), draw, config, folder)
    return tower.eval(), progress


def save_mini_vision(tower: CLIPVisionModelWithProjection, folder: Path) -> None:
    """Writes the folder that both `from_pretrained` read; weights in float16."""
    tower.to(torch.float16).save_pretrained(folder)
    image_processor().save_pretrained(folder)


def load_mini_vision(folder: Path = WEIGHTS / "mini-vision") -> CLIPVisionModelWithProjection:
    """The trained tower in float32."""
    return CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float32).eval()


@torch.inference_mode()
def embed(tower: CLIPVisionModelWithProjection, pictures: NDArray[np.uint8]) -> Tensor:
    """Unit vectors (N, 96) of pictures uint8 (N, 32, 32, 3)."""
    return F.normalize(tower(pixel_values=to_pixels(pictures, SIZE)).image_embeds, dim=1)

"""`mini-dino`: the encoder of the preference scorer, a transformers `Dinov2Model` that no method uses.

At full scale a scorer sees pictures through DINOv2, which was trained on far more than any method's data. Its
miniature is taught to tell every attribute of the pictures that users of the scorer split judged, drawn again from
other seeds; it shares no weights, data or training with what methods use or with the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.suites.picturebook.reader.reading import DescriptionTask, reading_batches
from prefbench.suites.picturebook.world.axes import AXES
from prefbench.suites.picturebook.world.render import SIZE
from prefbench.training.loop import FitConfig, Progress, fit

_WIDTH = 64


def build_mini_dino(seed: int = 0) -> Dinov2Model:
    """The untrained encoder: patches of 4, 4 layers, 64 wide."""
    torch.manual_seed(seed)
    config = Dinov2Config(
        hidden_size=_WIDTH, num_hidden_layers=4, num_attention_heads=4, mlp_ratio=3, image_size=SIZE, patch_size=4
    )
    return Dinov2Model(config)


class _Reading(nn.Module):
    """The encoder with a linear layer that reads the axes off its pooled output."""

    def __init__(self, encoder: Dinov2Model) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.Linear(_WIDTH, sum(map(len, AXES)))

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        pooled = self.encoder(pixel_values=pictures).pooler_output
        return torch.split(self.heads(pooled), [len(axis) for axis in AXES], dim=1)


def train_mini_dino(corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> tuple[Dinov2Model, Progress]:
    """Trains the encoder on one corpus of judged scenes; the layer that reads is dropped."""
    (corpus,) = corpora
    reading = _Reading(build_mini_dino(config.seed))
    progress = fit(DescriptionTask(reading), reading_batches(corpus), config, folder)
    return reading.encoder.eval(), progress


def save_mini_dino(encoder: Dinov2Model, folder: Path) -> None:
    """Writes the folder that `AutoModel` and `AutoImageProcessor` read; weights in float16."""
    encoder.to(torch.float16).save_pretrained(folder)
    size = {"height": SIZE, "width": SIZE}
    processor = BitImageProcessor(
        size=size, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_convert_rgb=True
    )
    processor.save_pretrained(folder)

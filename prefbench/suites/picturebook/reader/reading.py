"""Teaches a network to read every attribute off a picture: the reader, and the encoder of the preference scorer."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.training.loop import Batch, BatchSource


class ReadingTask(nn.Module):
    """The sum over axes of the cross entropy of each axis's value.

    Args:
        network: pictures (B, 3, 32, 32) in [-1, 1] to logits (B, values) for each axis, in the order of `AXES`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        logits = self.network(batch["pictures"])
        losses = [F.cross_entropy(z, batch["scenes"][:, a]) for a, z in enumerate(logits)]
        return torch.stack(losses).sum()


class DescriptionTask(ReadingTask):
    """Squared error of the outputs against the centred one-hot code of every axis.

    A network whose last layer is linear then holds each attribute in linear form with little spread around it, which
    is what a taste that is linear in attributes needs; cross entropy leaves it spread out.
    """

    def forward(self, batch: Batch) -> Tensor:
        errors = [
            (z - (F.one_hot(batch["scenes"][:, a], z.shape[1]) - 1 / z.shape[1])).square().sum(1)
            for a, z in enumerate(self.network(batch["pictures"]))
        ]
        return torch.stack(errors).sum(0).mean()


def reading_batches(corpus: Corpus) -> BatchSource:
    """Pictures with some softness and noise, and their scenes."""

    def draw(rng: np.random.Generator, size: int) -> Batch:
        rows = rng.integers(len(corpus), size=size)
        pictures = to_tensor(corpus.pictures[rows])
        # Drawn pictures are a little noisy or soft; the reader must not take that for an attribute.
        level = torch.from_numpy(rng.uniform(0, 0.12, (size, 1, 1, 1)).astype(np.float32))
        noise = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
        soft = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
        share = torch.from_numpy(rng.uniform(0, 0.35, (size, 1, 1, 1)).astype(np.float32))
        pictures = pictures * (1 - share) + soft * share + level * noise
        return {"pictures": pictures, "scenes": torch.from_numpy(corpus.scenes[rows]).long()}

    return draw


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures uint8 (N, H, W, 3) as float32 (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1

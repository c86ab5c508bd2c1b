"""A task that `fit` learns in a second, and a program that trains it: what tests kill and resume.

`python tests/support/learning.py FOLDER` trains until it is killed: from step `SLOW_FROM` on it dawdles. With IMAGES
behind it it trains for so many without decay of the learning rate, in one process or, by torchrun, in several; more
pairs of FOLDER IMAGES are trained one after another.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from prefbench.training.loop import Batch, BatchSource, FitConfig, fit

STEPS = 120
SLOW_FROM = 50
CONFIG = FitConfig(images=8 * STEPS, batch=8, lr=0.02, warmup_steps=10, ema=0.9, seed=5, save_every_s=0)
"""Checkpoints at every twentieth step, the soonest the loop looks at its clock."""


class Regression(nn.Module):
    """Two parts with names like a pipeline's, fitted to a fixed function; the loss is the mean squared error."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.text_encoder = nn.Linear(4, 8)
        self.unet = nn.Sequential(nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))

    def forward(self, batch: Batch) -> Tensor:
        error: Tensor = self.unet(self.text_encoder(batch["x"])) - batch["y"]
        return (error**2).mean()


def draw(rng: np.random.Generator, size: int) -> Batch:
    """Points of a smooth function of four numbers."""
    x = rng.standard_normal((size, 4)).astype(np.float32)
    y = np.sin(x[:, :1]) + 0.5 * x[:, 1:2]
    return {"x": torch.from_numpy(x), "y": torch.from_numpy(y)}


def dawdling() -> BatchSource:
    """The same batches, slowly after a while, so that a kill finds the run between checkpoints."""
    calls = 0

    def slow(rng: np.random.Generator, size: int) -> Batch:
        nonlocal calls
        calls += 1
        if calls > SLOW_FROM:
            time.sleep(0.2)
        return draw(rng, size)

    return slow


if __name__ == "__main__":
    torch.set_num_threads(1)
    arguments = iter(sys.argv[1:])
    for folder in arguments:
        if images := next(arguments, ""):
            fit(Regression(), draw, replace(CONFIG, images=int(images), decay=0.0), Path(folder))
        else:
            fit(Regression(), dawdling(), CONFIG, Path(folder))

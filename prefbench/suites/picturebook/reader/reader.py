"""The reader: a small network that reads every attribute off a picture, with a probability for each value.

It is the suite's measuring instrument: trained on rendered pictures alone, never on anything a method drew, and no
method or scorer may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from prefbench.api import WeightFiles
from prefbench.files import WEIGHTS, atomic_file
from prefbench.models import hub
from prefbench.suites.picturebook.data.corpus import HELD_OUT_SIZE, Corpus, held_out, load_corpus
from prefbench.suites.picturebook.reader.reading import ReadingTask, reading_batches, to_tensor
from prefbench.suites.picturebook.world.axes import AXES
from prefbench.training.loop import FitConfig, Progress, fit

_FILE = "model.safetensors"


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Reader(nn.Module):
    """Pictures (B, 3, 32, 32) in [-1, 1] to one vector of logits per axis, in the order of `AXES`."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _block(3, 32, 1),
            _block(32, 64, 2),
            _block(64, 64, 1),
            _block(64, 128, 2),
            _block(128, 192, 2),
            nn.Conv2d(192, 64, 1),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(64 * 16, 256),
            nn.ReLU(inplace=True),
        )
        self.heads = nn.Linear(256, sum(len(axis) for axis in AXES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        logits: Tensor = self.heads(self.body(pictures))
        return torch.split(logits, [len(axis) for axis in AXES], dim=1)

    @torch.inference_mode()
    def read(self, pictures: NDArray[np.uint8], *, batch: int = 250) -> Mapping[str, NDArray[np.float64]]:
        """Probabilities (N, values) for every axis, from pictures uint8 (N, 32, 32, 3)."""
        self.eval()
        chunks = [self(to_tensor(pictures[i : i + batch])) for i in range(0, len(pictures), batch)]
        logits = [torch.cat([chunk[a] for chunk in chunks]) for a in range(len(AXES))]
        return {axis.name: z.double().softmax(1).numpy() for axis, z in zip(AXES, logits, strict=True)}


def load_reader(folder: Path = WEIGHTS / "reader") -> Reader:
    """The trained reader in float32. Raises `PrefbenchError` where its weights are absent."""
    weights = WeightFiles(str(folder), (_FILE,), licence="Apache-2.0", trainer="reader")
    reader = Reader()
    stored = load_file(hub.require("the reader", weights) / _FILE)
    reader.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in stored.items()})
    return reader.eval()


def save_reader(reader: Reader, folder: Path) -> None:
    """Writes the weights in float16."""
    state = {k: (t.half() if t.is_floating_point() else t).contiguous() for k, t in reader.state_dict().items()}
    with atomic_file(folder / _FILE) as temporary:
        save_file(state, temporary)


def train_reader(corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> tuple[Reader, Progress]:
    """Trains the reader on one corpus of rendered pictures, all contents and all axes uniform."""
    (corpus,) = corpora
    torch.manual_seed(config.seed)
    reader = Reader()
    progress = fit(ReadingTask(reader), reading_batches(corpus), config, folder)
    return reader, progress


def reading_accuracy(reader: Reader, *, n: int = HELD_OUT_SIZE) -> Mapping[str, float]:
    """Accuracy for each axis on held-out rendered pictures."""
    corpus = load_corpus(held_out(n))
    probabilities = reader.read(corpus.pictures)
    return {
        axis.name: float((probabilities[axis.name].argmax(1) == corpus.scenes[:, a]).mean())
        for a, axis in enumerate(AXES)
    }

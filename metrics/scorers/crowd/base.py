"""Base of scorers without a user: a model's own score of a picture for its prompt, mapped to [0, 1]."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.special import expit

from prefbench.api import Features, History, Pixels, PrefbenchError, Scorer, WeightFiles
from prefbench.models import hub
from prefbench.models.memory import Batches

from ..files import digest


class CrowdScorer(Scorer):
    """A scorer that reads no history.

    These models learn from pairs drawn for one prompt: the logistic of the DIFFERENCE of two scores is the probability
    that annotators prefer the first. A single score means nothing by itself. `score` therefore compares each picture
    with an imagined one for the same prompt whose score is `anchor`: value = logistic(score - anchor). Differences of
    scores are differences of the values' logits, so nothing is lost; the anchor shifts all logits alike.

    Args:
        anchor: the score of the imagined picture, on the scale of `points`.
        batch: pictures that go through the model at once.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
    """

    def __init__(self, *, anchor: float, batch: int, device: str | None) -> None:
        if batch < 1:
            raise PrefbenchError(f"scorer {self.card.name!r}: batch must be at least 1, got {batch}")
        self.anchor, self.batch, self.device = anchor, batch, device

    @cached_property
    def id(self) -> str:
        """Name, version, anchor and SHA-256 of the weights. Raises `PrefbenchError` where they are absent."""
        return f"{self.card.name}@{self.card.version}[anchor={self.anchor:g}]@{self._digest()}"

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """The values (N,) in [0, 1]; see the class.

        Raises:
            PrefbenchError: weights are absent or damaged; pictures that are not uint8 (H, W, 3), or not one per prompt.
        """
        del history
        return np.asarray(expit(self.points(prompts, pictures) - self.anchor))

    def points(self, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """The model's own scores (N,), larger is better. Raises what `score` raises."""
        check_pairs(self.card.name, prompts, pictures)
        rows = Batches(f"scorer {self.card.name!r}: not even one picture fits into memory", self.batch).each(
            len(pictures),
            lambda start, stop: self._points(
                list(prompts[start:stop]), [Image.fromarray(picture) for picture in pictures[start:stop]]
            ),
        )
        return np.concatenate(rows) if rows else np.empty(0)

    @abstractmethod
    def _points(self, prompts: list[str], pictures: list[Image.Image]) -> Features:
        """The model's scores (B,) of one batch."""

    @property
    @abstractmethod
    def weights(self) -> tuple[WeightFiles, ...]: ...

    def _folders(self) -> list[Path]:
        """Folders with the files of each of `weights`. Raises `PrefbenchError` where some are missing."""
        return hub.require_all(f"scorer {self.card.name!r}", self.weights)

    def _digest(self) -> str:
        """SHA-256 over the files of the model."""
        return digest((folder, weights.files) for folder, weights in zip(self._folders(), self.weights, strict=True))


def check_pairs(name: str, prompts: Sequence[str], pictures: Sequence[Pixels]) -> None:
    """Raises `PrefbenchError` unless there is a uint8 picture (H, W, 3) for every prompt."""
    if len(prompts) != len(pictures):
        raise PrefbenchError(f"scorer {name!r}: {len(prompts)} prompts for {len(pictures)} pictures")
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise PrefbenchError(f"scorer {name!r} takes uint8 pictures (H, W, 3), got {picture.dtype} {picture.shape}")


@contextmanager
def exact() -> Iterator[None]:
    """Context of a forward pass: no gradients, and full float32 also where the device would round to TF32."""
    import torch

    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def as_numbers(scores: Any) -> Features:
    """A tensor as float64 on the CPU; cast there, as Apple's devices have no float64."""
    return np.asarray(scores.cpu().double().numpy())

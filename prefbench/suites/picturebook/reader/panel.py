"""The instrument: one reader or several, each of which sees several views of a picture; their mean is the reading."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from prefbench.suites.picturebook.reader.networks import Reader
from prefbench.suites.picturebook.reader.reading import to_tensor
from prefbench.suites.picturebook.world.axes import AXES, Axis

View = tuple[int, int]
"""Pixels by which a picture is moved down and to the right; what comes in from outside repeats the edge."""
UNMOVED: View = (0, 0)


class Panel(nn.Module):
    """Readers whose probabilities are averaged, over all of them and over all views.

    All of them read the same axes. The views are fixed: the same picture is read the same every time.
    """

    def __init__(self, readers: Sequence[Reader], *, views: Sequence[View] = (UNMOVED,)) -> None:
        super().__init__()
        self.readers = nn.ModuleList(readers)
        self.axes: tuple[Axis, ...] = readers[0].axes
        self.views = tuple(views)
        self.eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Probabilities (B, values), in double precision, for each of `axes`, of pictures (B, 3, 32, 32) in [-1, 1]."""
        return tuple(torch.stack(readings).mean(0) for readings in zip(*self._each(pictures), strict=True))

    def _each(self, pictures: Tensor) -> list[list[Tensor]]:
        """For each reader, its probabilities for each of `axes`, averaged over the views."""
        views = [moved(pictures, view) for view in self.views]
        return [self._averaged(reader, views) for reader in self.readers]

    def _averaged(self, reader: nn.Module, views: Sequence[Tensor]) -> list[Tensor]:
        readings = [[logits.double().softmax(1) for logits in reader(view)] for view in views]
        return [torch.stack(of_axis).mean(0) for of_axis in zip(*readings, strict=True)]

    @torch.inference_mode()
    def read(self, pictures: NDArray[np.uint8], *, batch: int = 250) -> Mapping[str, NDArray[np.float64]]:
        """Probabilities (N, values) for every axis, from pictures uint8 (N, 32, 32, 3)."""
        chunks = [self(to_tensor(pictures[i : i + batch])) for i in range(0, len(pictures), batch)]
        return {axis.name: torch.cat([chunk[a] for chunk in chunks]).numpy() for a, axis in enumerate(self.axes)}

    @torch.inference_mode()
    def disagreement(self, pictures: NDArray[np.uint8], *, batch: int = 250) -> NDArray[np.float64]:
        """Total variation between readers (N,), the mean over `AXES` and pairs of readers; 0 of a single one."""
        chunks = [self._distances(to_tensor(pictures[i : i + batch])) for i in range(0, len(pictures), batch)]
        distances: NDArray[np.float64] = torch.cat(chunks).numpy()
        return distances

    def _distances(self, pictures: Tensor) -> Tensor:
        of_axes = [reading[: len(AXES)] for reading in self._each(pictures)]
        pairs = itertools.combinations(of_axes, 2)
        distances = [(p - q).abs().sum(1) / 2 for pair in pairs for p, q in zip(*pair, strict=True)]
        return torch.stack(distances).mean(0) if distances else torch.zeros(len(pictures), dtype=torch.double)


def moved(pictures: Tensor, view: View) -> Tensor:
    """Pictures (B, C, H, W) moved by whole pixels; their edges are repeated."""
    if view == UNMOVED:
        return pictures
    (down, right), (height, width) = view, pictures.shape[-2:]
    reach = max(abs(down), abs(right))
    padded = F.pad(pictures, (reach,) * 4, mode="replicate")
    return padded[..., reach - down : reach - down + height, reach - right : reach - right + width]

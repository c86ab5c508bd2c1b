"""Visual words: patches compared with the centres that k-means found among patches, and counted where they lie.

A patch is whitened, its distance to every centre taken, and each centre that is nearer than the mean one speaks up by
how much nearer it is; what the centres say is averaged over each quarter of the picture (Coates, Lee and Ng, AISTATS
2011, section 3.2, "triangle"), at several scales; principal components of that over many pictures are the features.
Nothing is ever told about a picture but its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 32
"""Pixels of a picture's side."""
_QUARTERS = 2


@dataclass(frozen=True)
class Scale:
    """Patches of `side` pixels, every `stride` pixels of pictures reduced to 1 / `reduced`."""

    reduced: int
    side: int
    stride: int


class Vocabulary(nn.Module):
    """The words of one scale.

    Args:
        scale: which patches.
        components: principal components of patches that are compared.
        words: centres.
    """

    whiten: Tensor
    shift: Tensor
    centres: Tensor

    def __init__(self, scale: Scale, components: int, words: int) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("whiten", torch.zeros(components, 3, scale.side, scale.side))
        self.register_buffer("shift", torch.zeros(components))
        self.register_buffer("centres", torch.zeros(words, components))

    def reduce(self, pictures: Tensor) -> Tensor:
        """The pictures in this scale."""
        return F.avg_pool2d(pictures, self.scale.reduced) if self.scale.reduced > 1 else pictures

    def forward(self, pictures: Tensor) -> Tensor:
        """What each word says (B, 4 words) in the quarters of pictures (B, 3, 32, 32)."""
        padded = F.pad(self.reduce(pictures), (self.scale.side // 2 - 1,) * 4, mode="replicate")
        patches = F.conv2d(padded, self.whiten, self.shift, stride=self.scale.stride)
        rows, columns = patches.shape[-2:]
        patches = patches.flatten(2).transpose(1, 2)
        squared = self.centres.square().sum(1) - 2 * patches @ self.centres.T + patches.square().sum(2, keepdim=True)
        distances = squared.clamp(min=1e-4).sqrt()
        said = F.relu(distances.mean(2, keepdim=True) - distances).transpose(1, 2)
        return F.adaptive_avg_pool2d(said.reshape(len(said), -1, rows, columns), _QUARTERS).flatten(1)


class VisualWords(nn.Module):
    """Features (B, components) of pictures (B, 3, 32, 32) in [-1, 1].

    Args:
        vocabularies: one for each scale.
        components: principal components of what all words say, each with the variance that it has.
    """

    mean: Tensor
    project: Tensor

    def __init__(self, vocabularies: Sequence[Vocabulary], components: int) -> None:
        super().__init__()
        self.vocabularies = nn.ModuleList(vocabularies)
        width = sum(_QUARTERS**2 * len(one.centres) for one in vocabularies)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("project", torch.zeros(width, components))

    def said(self, pictures: Tensor) -> Tensor:
        """What all words of all scales say in all quarters."""
        return torch.cat([vocabulary(pictures) for vocabulary in self.vocabularies], dim=1)

    def forward(self, pictures: Tensor) -> Tensor:
        return (self.said(pictures) - self.mean) @ self.project

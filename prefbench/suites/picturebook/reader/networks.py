"""Readers: small convolutional networks that read attributes off a picture, through different first filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from prefbench.suites.picturebook.world.axes import AXES
from prefbench.suites.picturebook.world.defects import DEFECTS

NetworkName = Literal["plain", "fine", "coarse"]


class Body(NamedTuple):
    """Pictures (B, 3, 32, 32) to states (B, width), ready for linear heads."""

    layers: nn.Sequential
    width: int


def _block(inputs: int, outputs: int, stride: int, kernel: int = 3, padding: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _plain() -> Body:
    layers = nn.Sequential(
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
    return Body(layers, 256)


def _fine() -> Body:
    """Filters of 4x4 pixels, then 3x3 ones on a quarter of the positions: most work where objects have parts."""
    layers = nn.Sequential(
        _block(3, 48, 2, kernel=4),
        _block(48, 64, 1),
        _block(64, 128, 2),
        _block(128, 128, 1),
        _block(128, 192, 2),
        nn.Conv2d(192, 64, 1),
        nn.Flatten(),
        nn.Linear(64 * 16, 160),
        nn.ReLU(inplace=True),
    )
    return Body(layers, 160)


def _coarse() -> Body:
    """Filters of 6x6 pixels, which average noise away, and one wide layer of 5x5 ones."""
    layers = nn.Sequential(
        _block(3, 64, 2, kernel=6, padding=2),
        _block(64, 96, 2),
        _block(96, 96, 1, kernel=5, padding=2),
        _block(96, 160, 2),
        nn.Conv2d(160, 64, 1),
        nn.Flatten(),
        nn.Linear(64 * 16, 160),
        nn.ReLU(inplace=True),
    )
    return Body(layers, 160)


NETWORKS: Mapping[NetworkName, Callable[[], Body]] = {"plain": _plain, "fine": _fine, "coarse": _coarse}


class Reader(nn.Module):
    """Pictures (B, 3, 32, 32) in [-1, 1] to one vector of logits per axis, in the order of `axes`.

    The plain network reads `AXES`; the others read `DEFECTS` too.
    """

    def __init__(self, network: NetworkName = "plain") -> None:
        super().__init__()
        self.network: NetworkName = network
        self.axes = AXES if network == "plain" else (*AXES, *DEFECTS)
        self.body, width = NETWORKS[network]()
        self.heads = nn.Linear(width, sum(len(axis) for axis in self.axes))

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        logits: Tensor = self.heads(self.body(pictures))
        return torch.split(logits, [len(axis) for axis in self.axes], dim=1)

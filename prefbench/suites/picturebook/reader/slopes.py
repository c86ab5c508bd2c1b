"""How an expected utility changes with the pixels that a panel of readers sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prefbench.api import FloatArray
from prefbench.api.gradients import Slopes
from prefbench.models.slopes import slopes_of
from prefbench.suites.picturebook.reader.panel import Panel
from prefbench.suites.picturebook.world.render import SIZE

Probabilities = Mapping[str, FloatArray]
Value = Callable[[Probabilities], FloatArray]
"""Probabilities (k N, values) for each axis, of the same N pictures k times, to one number each (k N,).

It is linear in the probabilities of every single axis.
"""


def expected_slopes(panel: Panel, pictures: FloatArray, value: Value) -> Slopes:
    """The gradient of an expectation under independent probabilities.

    Such a value is linear in each axis, so its slope along the probability of one value of an axis is what it would be
    if that value were certain: d E / d p(v) = E given v. No part of `value` is differentiated.

    Args:
        pictures: (N, H, W, 3), in levels of 0 to 255; of another size than 32x32 they are reduced by area.
    """
    values: list[FloatArray] = []

    def linearised(x: Tensor) -> Tensor:
        read = panel(F.adaptive_avg_pool2d(x, SIZE) * 2 - 1)
        held, *given = value(_given_each([p.detach().numpy() for p in read], panel)).reshape(-1, len(x))
        values.append(held)
        slopes = torch.from_numpy(np.stack(given, axis=1))
        return (torch.cat(read, dim=1) * slopes).sum(1)

    gradients = slopes_of(linearised, pictures).gradients
    return Slopes(values[0], gradients)


def _given_each(read: Sequence[FloatArray], panel: Panel) -> Probabilities:
    """The probabilities as they are; then, for each value of each axis, as if the axis had it for certain."""
    n, blocks = len(read[0]), 1 + sum(p.shape[1] for p in read)
    tables, first = {}, 1
    for axis, p in zip(panel.axes, read, strict=True):
        table = np.tile(p, (blocks, 1, 1))
        table[first : first + p.shape[1]] = np.eye(p.shape[1])[:, None]
        tables[axis.name] = table.reshape(blocks * n, -1)
        first += p.shape[1]
    return tables

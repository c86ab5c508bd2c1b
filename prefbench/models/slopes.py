"""The gradient of a network's value with respect to the pixels that it sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from prefbench.api import FloatArray
from prefbench.api.gradients import Slopes


def slopes_of(function: Callable[[Tensor], Tensor], pictures: FloatArray, device: torch.device | None = None) -> Slopes:
    """Values and gradients of `function`, which turns pictures (N, 3, H, W) in [0, 1] into one value each.

    Args:
        pictures: (N, H, W, 3), in levels of 0 to 255.

    >>> slopes_of(lambda x: x.sum((1, 2, 3)), np.full((1, 2, 2, 3), 255.0)).values
    array([12.])
    """
    levels = torch.from_numpy(np.asarray(pictures, np.float32)).to(device).requires_grad_()
    with torch.enable_grad():
        values = function(levels.permute(0, 3, 1, 2) / 255)
        (gradients,) = torch.autograd.grad(values.sum(), levels)
    return Slopes(values.detach().cpu().double().numpy(), gradients.cpu().double().numpy())

"""Scores as tables of users x prompts, made up with known effects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Scores


def grid(values: NDArray[np.float64], *, shared: bool = True) -> Scores:
    """Scores of a table users x prompts; NaN cells are left out."""
    rows, columns = np.nonzero(~np.isnan(values))
    prompts = columns if shared else rows * values.shape[1] + columns
    return Scores(values[rows, columns], rows.astype(str), prompts.astype(str))


def world(rng: np.random.Generator, users: int, prompts: int) -> NDArray[np.float64]:
    """A table of mean 0 with user effects, prompt effects and noise, all of variance 1."""
    cells = rng.standard_normal((users, prompts))
    return rng.standard_normal((users, 1)) + rng.standard_normal((1, prompts)) + cells

"""What a spoilt picture loses: every user minds defects, some more than others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.world.axes import IntArray
from prefbench.suites.picturebook.world.defects import DEFECTS

LEVELS = np.array([0.0, 0.4, 1.0])
"""How severe each level of a defect is."""
CARE = (0.5, 1.5)
"""The least and the most that a user minds a strong defect, as shares of what the world's users do in the mean."""
_WEAK = 0.6
"""The share of spoilt pictures whose defect is of the lower level."""


def severity(levels: IntArray) -> FloatArray:
    """Severity (N,) of levels (N, defects): 0 of a flawless picture, 1 of one strong defect; defects add up."""
    return np.asarray(LEVELS.take(levels).sum(axis=-1))


def expected_severity(probabilities: Mapping[str, FloatArray]) -> FloatArray | float:
    """The same (N,) under probabilities (N, levels) for each defect; a defect without any counts as absent."""
    return sum((probabilities[axis.name] @ LEVELS for axis in DEFECTS if axis.name in probabilities), start=0.0)


def sample_defects(rng: np.random.Generator, n: int, share: float) -> IntArray:
    """Levels (n, defects): at most one defect a picture, in a share of all pictures."""
    levels = np.zeros((n, len(DEFECTS)), dtype=np.int64)
    spoilt = (rng.random(n) < share).nonzero()[0]
    if len(spoilt):
        kinds = rng.integers(len(DEFECTS), size=len(spoilt))
        levels[spoilt, kinds] = np.where(rng.random(len(spoilt)) < _WEAK, 1, 2)
    return levels


def severity_at(places: FloatArray, share: float) -> FloatArray:
    """Severities (N,) at places (N,) in [0, 1) of their distribution, where a share of all pictures has a defect."""
    return np.select([places < share * (1 - _WEAK), places < share], [LEVELS[2], LEVELS[1]])

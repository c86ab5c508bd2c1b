"""How often one method is above another on the same samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Scores
from prefbench.stats import LEVEL
from prefbench.stats.paired import Difference, paired_difference
from prefbench.stats.scores import differences


def win_rate(a: Scores, b: Scores, *, replicates: int = 10_000, level: float = LEVEL, seed: int = 0) -> Difference:
    """The share of rows in which `a` is above `b`, ties half, mean over users of a user's share; p of one half.

    With W the rows that are won and L those that are lost, the share is (1 + mean(W) - mean(L)) / 2. So interval and p
    value are those of `paired_difference` of two proportions, W and L. Rows that either lacks are missing. Values are
    tied as everywhere (`scores.TIE`).

    Args:
        replicates: random sign flips for more than 12 users.

    Raises:
        ValueError: the two are not scored on the same keys.

    Example:
        >>> users, prompts = np.repeat(["a", "b"], 2), np.tile(["x", "y"], 2)
        >>> one, other = (Scores(np.array(v), users, prompts) for v in ([3.0, 2.0, 1.0, 1.0], [1.0, 2.0, 0.0, 0.0]))
        >>> win_rate(one, other).estimate.value
        0.875
    """
    rows = differences(a, b)
    won, lost = (_indicator(rows, sign * rows.values > 0) for sign in (1, -1))
    excess = paired_difference(won, lost, replicates=replicates, level=level, seed=seed)
    one = excess.estimate
    value, low, high = (None if end is None else (1 + end) / 2 for end in (one.value, one.low, one.high))
    return Difference(replace(one, value=value, low=low, high=high), excess.p_value)


def _indicator(rows: Scores, holds: NDArray[np.bool_]) -> Scores:
    """1 where it holds, 0 elsewhere, nothing where a row is missing."""
    values = np.where(np.isnan(rows.values), np.nan, holds.astype(np.float64))
    return replace(rows, values=values, bounds=(0.0, 1.0))

"""Percentile intervals of any statistic over users, prompts left as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray

_TAILS = (0.025, 0.975)


def user_percentiles(
    users: int, statistic: Callable[[NDArray[np.int64]], float], *, replicates: int, seed: int
) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of any statistic of users, when users are resampled.

    Args:
        users: how many there are.
        statistic: of the users with these indices (users,), some repeated; replicates where it is NaN are left out.

    Returns:
        Both ends; None for fewer than three users, or where half of the replicates or more have no value.

    Example:
        >>> values = np.arange(50.0)
        >>> low, high = user_percentiles(50, lambda rows: float(values[rows].mean()), replicates=500, seed=0)
        >>> low < 24.5 < high
        True
    """
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(users, size=users)) for _ in range(replicates if users > 2 else 0)])
    return ends_of(values) if len(values) else (None, None)


def ends_of(replicates: FloatArray) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of a statistic's replicates (N,); None where half of them or more have no value."""
    values = replicates[np.isfinite(replicates)]
    if len(values) <= len(replicates) / 2:
        return None, None
    low, high = np.quantile(values, _TAILS).tolist()
    return low, high

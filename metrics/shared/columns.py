"""Values of samples as the columns that a metric returns, and which samples are whose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prefbench.api import Features, Scored


def as_columns(metric: str, parts: Mapping[str, Features]) -> dict[str, list[float | None]]:
    """Columns `metric` (from the part `total`, put first) and `metric/<part>`; None for what is not finite.

    Example:
        >>> as_columns("style", {"own": np.array([0.5, np.nan]), "total": np.array([1.0, 2.0])})
        {'style': [1.0, 2.0], 'style/own': [0.5, None]}
    """
    ordered = {"total": parts["total"], **parts}
    names = [metric if part == "total" else f"{metric}/{part}" for part in ordered]
    columns = [[float(v) if np.isfinite(v) else None for v in values] for values in ordered.values()]
    return dict(zip(names, columns, strict=True))


def rows_of_users(samples: Sequence[Scored]) -> dict[str, list[int]]:
    """User to the indices of their samples, in the order in which users first appear."""
    rows: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        rows.setdefault(sample.user, []).append(i)
    return rows

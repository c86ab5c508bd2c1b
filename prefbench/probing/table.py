"""What both probes share: where states were taken, what states must be, and the rows of the table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

import numpy as np
import pandas as pd

from prefbench.api import Estimate, FloatArray, PrefbenchError

VERIFICATION, RETRIEVAL, LIKING, LIKING_ACCURACY = "verification", "retrieval", "liking", "liking-accuracy"
"""Tasks of the table: AUC, recall at 1, within-user AUC, within-user balanced accuracy."""


class ProbedLayer(NamedTuple):
    """Where states were taken: a layer by number (0 is the embedding layer) and how its tokens were pooled."""

    layer: int
    pooling: str


@dataclass(frozen=True)
class ProbeRow:
    """One layer, pooling and task: the value with its 95 % interval, 0 to 1, over n users, and what could imitate it.

    None where it was not measured. `selectivity` is the value minus the control's.
    """

    layer: int
    pooling: str
    task: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    floor: float | None = None
    """The same probe on content alone."""
    mismatched: float | None = None
    """The same probe on states that saw another user's history."""
    control: float | None = None
    """The same probe on labels without meaning."""
    selectivity: float | None = None

    @classmethod
    def of(
        cls,
        layer: ProbedLayer,
        task: str,
        estimate: Estimate,
        *,
        floor: float | None = None,
        mismatched: float | None = None,
        control: float | None = None,
    ) -> ProbeRow:
        """The row of an estimate."""
        value, low, high, n = estimate.value, estimate.low, estimate.high, estimate.n_users
        selectivity = None if control is None or value is None else value - control
        return cls(*layer, task, value, low, high, n, floor, mismatched, control, selectivity)


def table(rows: Sequence[ProbeRow]) -> pd.DataFrame:
    """One line per row, one column per field of `ProbeRow`, in their order; NaN where nothing was measured."""
    numbers = [field.name for field in fields(ProbeRow) if field.name not in ("layer", "pooling", "task", "n")]
    frame = pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(ProbeRow)])
    return frame.astype(dict.fromkeys(numbers, float))


def state_matrix(states: FloatArray, name: str, rows: int | None = None) -> FloatArray:
    """The states as a finite float64 matrix (N, W). Raises `PrefbenchError` where they are none, or not of `rows`."""
    matrix = np.asarray(states, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise PrefbenchError(f"probing: {name} must be a matrix with one row per state, got shape {matrix.shape}")
    if rows is not None and len(matrix) != rows:
        raise PrefbenchError(f"probing: {len(matrix)} {name} for {rows} labels")
    if not np.isfinite(matrix).all():
        bad = int((~np.isfinite(matrix)).any(axis=1).sum())
        raise PrefbenchError(f"probing: {bad} of {len(matrix)} {name} hold NaN or infinite numbers")
    return matrix


def check_layers(states: Collection[ProbedLayer]) -> None:
    """Raises `PrefbenchError` for no layer at all."""
    if not states:
        raise PrefbenchError("probing: no states of any layer were given")

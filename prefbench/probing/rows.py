"""What both probes share: where states were taken, the rows of the table, and intervals over users."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from prefbench.api import Estimate, PrefbenchError, Scores
from prefbench.stats.bootstrap import crossed_bootstrap
from prefbench.stats.resampling import Floats, Names

Indices = NDArray[np.int64]
VERIFICATION, RETRIEVAL, LIKING, LIKING_ACCURACY = "verification", "retrieval", "liking", "liking-accuracy"
"""Tasks of the table: AUC, recall at 1, within-user AUC, within-user balanced accuracy."""
REPLICATES = 2000


class Place(NamedTuple):
    """Where states were taken: a layer by number (0 is the embedding layer) and how its tokens were pooled."""

    layer: int
    pooling: str


@dataclass(frozen=True)
class Row:
    """One layer, pooling and task: the figure with its 95 % interval, 0 to 1, over n users, and what could imitate it.

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
        place: Place,
        task: str,
        found: Estimate,
        *,
        floor: float | None = None,
        mismatched: float | None = None,
        control: float | None = None,
    ) -> Row:
        """The row of an estimate."""
        selectivity = None if control is None or found.value is None else found.value - control
        value, low, high, n = found.value, found.low, found.high, found.n_users
        return cls(*place, task, value, low, high, n, floor, mismatched, control, selectivity)


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a row, a column a field of `Row`, in their order; NaN where nothing was measured."""
    numbers = [field.name for field in fields(Row) if field.name not in ("layer", "pooling", "task", "n")]
    frame = pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(Row)])
    return frame.astype(dict.fromkeys(numbers, float))


def matrix(states: Floats, name: str, rows: int | None = None) -> Floats:
    matrix = np.asarray(states, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise PrefbenchError(f"probing: {name} must be a matrix with a row a state, got shape {matrix.shape}")
    if rows is not None and len(matrix) != rows:
        raise PrefbenchError(f"probing: {len(matrix)} {name} for {rows} questions")
    if not np.isfinite(matrix).all():
        bad = int((~np.isfinite(matrix)).any(axis=1).sum())
        raise PrefbenchError(f"probing: {bad} of {len(matrix)} {name} hold NaN or infinite numbers")
    return matrix


def check_places(states: Collection[Place]) -> None:
    if not states:
        raise PrefbenchError("probing: no states of any layer were given")


def fold_of(names: Names, folds: int, seed: int) -> Indices:
    """The fold (N,) of every row, rows of one name together."""
    result = np.empty(len(names), dtype=np.int64)
    dealt = GroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(dealt.split(names, groups=names)):
        result[test] = fold
    return result


def over_users(rows: Floats, replicates: int, seed: int) -> Estimate:
    names = np.arange(len(rows)).astype(str)
    return bounded(Scores(rows, names, names), replicates, seed)


def bounded(scores: Scores, replicates: int, seed: int) -> Estimate:
    """The mean over users; ends of intervals stay in 0 to 1, which a first-order value may leave."""
    found = crossed_bootstrap(scores, replicates=replicates, seed=seed)
    low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (found.low, found.high))
    return replace(found, low=low, high=high)


def below(values: Floats, reference: Floats) -> Floats:
    """The share of the reference below each value, ties as half."""
    ordered = np.sort(reference)
    both = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    share: Floats = both / (2 * len(ordered))
    return share

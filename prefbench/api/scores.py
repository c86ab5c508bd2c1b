"""What scoring hands over: the values of a metric, the rows of a run's summary, and a scored run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from prefbench.api.records import Bounds, Sample

ROUNDING = 1e-9
"""By which scores may leave their bounds."""

ALL = "all"
"""The kind of a row that speaks of all users."""


@dataclass(frozen=True)
class Scores:
    """One method's values of one metric, a row a sample; NaN is missing, and is counted as such, never as 0.

    Args:
        values: float64 (N,).
        users, prompts: (N,) the user and the prompt of each row.
        keys: (N,) what pairs a row with the same row of another method, such as case and sample index; unique. Without
            keys, methods must hold their rows in the same order.
        bounds: of proportions, the least and the greatest value there can be: intervals then allow for exceptions that
            are so rare that a sample may hold none (`rare.proportion`).
    """

    values: NDArray[np.float64]
    users: NDArray[np.str_]
    prompts: NDArray[np.str_]
    keys: NDArray[np.str_] | None = None
    bounds: Bounds = (None, None)

    def __post_init__(self) -> None:
        columns = [self.values, self.users, self.prompts, *([] if self.keys is None else [self.keys])]
        if len({column.shape for column in columns}) != 1 or self.values.ndim != 1:
            raise ValueError(f"columns of scores differ in shape: {[column.shape for column in columns]}")
        if np.isinf(self.values).any():
            raise ValueError("scores hold infinite values; mark what is missing as NaN")
        low, high = self.bounds
        if low is not None and high is not None:
            if not low < high:
                raise ValueError(f"bounds {self.bounds} hold no interval")
            if (self.values < low - ROUNDING).any() or (self.values > high + ROUNDING).any():
                raise ValueError(f"scores leave their bounds {self.bounds}")

    def __len__(self) -> int:
        return len(self.values)

    def select(self, rows: NDArray[Any]) -> Scores:
        """Only some rows, by a mask or by their places."""
        keys = None if self.keys is None else self.keys[rows]
        return Scores(self.values[rows], self.users[rows], self.prompts[rows], keys, self.bounds)


@dataclass(frozen=True)
class Column:
    """All values of one metric column of a run, a row a planned sample, or a row a user; NaN where there is none."""

    scores: Scores
    direction: str
    question: str
    won_by: tuple[str, ...]
    unit: str = "image"
    unranked: str = ""
    scorer: str = ""


@dataclass(frozen=True)
class SummaryRow:
    """One number of a run. `kind` is a kind of user, or `all`; `floor` is what two halves of the reference score."""

    method: str
    control: str | None
    metric: str
    kind: str
    value: float | None
    low: float | None
    high: float | None
    n_users: int
    n_prompts: int
    n_samples: int
    missing: int
    direction: str
    """`up`, `down`, or empty where neither more nor less is better."""
    question: str
    won_by: tuple[str, ...] = ()
    floor: float | None = None
    unranked: str = ""
    """Why the learned scorer behind the number must not rank this method; empty where it may, or without a scorer."""
    scorer: str = ""
    """How far the scorer behind the number can be believed."""


class ScoredRun(Protocol):
    """A run folder that was scored, as `prefbench.load` opens it and reports read it."""

    @property
    def path(self) -> Path:
        """The run folder."""

    @property
    def description(self) -> Mapping[str, Any]:
        """The content of `run.json`."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """All that decides which images are drawn: method, parameters, backbone, suite, split, seeds."""

    @property
    def method(self) -> str:
        """The method's name as tables show it."""

    @property
    def control(self) -> str | None:
        """The control that the method was drawn under."""

    @property
    def samples(self) -> Sequence[Sample]:
        """The stored samples by user, case and index."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """User to kind of user."""

    def columns(self) -> Mapping[str, Column]:
        """Every column of every per-image and per-user metric, in the order they were scored."""

    def summary(self) -> Sequence[SummaryRow]:
        """The stored rows: one per column over all users, then one per kind of user; computed once, when scored."""

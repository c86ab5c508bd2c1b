"""What scoring stores per metric: the header of its scores, and its values as columns that statistics take."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from prefbench.api.drawn import TextsRead
from prefbench.api.records import Bounds
from prefbench.api.stored import OPEN, Count, Name

ROUNDING = 1e-9
"""Tolerance of the bounds."""


@dataclass(frozen=True)
class ScorerRecord:
    """The scorer that scores were made by, as their header stores it."""

    __pydantic_config__ = OPEN

    name: Name
    id: Name
    encoders: tuple[Name, ...]
    """Encoders that it looks at images through."""
    trained_on: tuple[Name, ...]
    """Data that it was trained on, such as `picturebook:scorer`."""
    figures: Mapping[str, Any] | None
    """Its measured accuracy and calibration on the suite (`ScorerFigures.to_json`); None where it was not measured."""

    @staticmethod
    def today(content: Mapping[str, Any]) -> dict[str, Any]:
        """A stored record with today's names: figures of version 0.1 call `above_permuted` `above_mismatched`."""
        figures = content.get("figures")
        if not isinstance(figures, dict) or "above_mismatched" not in figures:
            return dict(content)
        kept = {name: value for name, value in figures.items() if name != "above_mismatched"}
        return {**content, "figures": {**kept, "above_permuted": figures["above_mismatched"]}}


DERIVED = ("gap-closed", "win-rate")
"""Columns that reports make from those of several runs; no metric bears such a name."""


@dataclass(frozen=True)
class ScoreHeader:
    """The first line of a metric's scores: all that decides the values, and how to read them.

    Scores are up to date exactly while their header equals the one that scoring would write now.
    """

    __pydantic_config__ = OPEN

    metric: Name
    """The metric's id: name, version and recipe."""
    direction: Literal["up", "down"]
    question: Literal["fidelity", "adherence", "preference", "side"]
    unit: Literal["image", "user", "set"]
    """What one value belongs to."""
    samples: Name
    """Digest of the samples that were scored."""
    suite: Name = ""
    """Digest of the suite."""
    won_by: tuple[Name, ...] = ()
    """Controls that can win the metric without doing what it asks."""
    undirected: tuple[Name, ...] = ()
    """Columns of which neither more nor less is better."""
    bounds: Bounds = (None, None)
    """Least and greatest value of proportions and of set-level metrics; (None, None) for other metrics."""
    extractor: Name | None = None
    """Id of the extractor that features come from."""
    mllm: Name | None = None
    """The language model that answers."""
    pixel_columns: tuple[Name, ...] = ()
    """Columns that are measured on pixels alone, without the extractor."""
    foreign: tuple[Name, ...] = ()
    """Encoders that know the pictures of another suite alone, as `mini-clip knows picturebook alone`."""
    least: Count = 0
    """Number of images below which a set-level value is marked as of few."""
    truth: Name | None = None
    """Id of the suite's truth, where the metric asks it."""
    scorer: ScorerRecord | None = None
    texts: TextsRead | None = None
    """How many of the samples' prompts the model behind the values cuts; None where it does not say. A count, which
    decides nothing: scores without it are up to date."""
    unread: str | None = None
    """How many of the suite's pictures that the metric needs could not be read, so that it stands on the others; None
    where it stands on all. Scores with it are made again whenever the run is scored: the pictures may be back."""
    representations: Name | None = None
    """Digest of the stored user states, where the metric asks for them."""

    def to_json(self) -> dict[str, Any]:
        """Plain data that JSON keeps as it is, without the optional fields that are empty."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        optional = ("scorer", "texts", "unread", "representations", "mllm", "pixel_columns", "foreign", "least")
        return {name: value for name, value in content.items() if value or name not in optional}

    @property
    def encoders(self) -> tuple[str, ...]:
        """The names of what looks at the pictures: extractor, language model, encoders of the scorer."""
        names = [re.split(r"[\[@]", self.extractor)[0]] if self.extractor else []
        names += [self.mllm] if self.mllm else []
        return tuple(dict.fromkeys([*names, *(self.scorer.encoders if self.scorer else ())]))

    def encoder_of(self, column: str) -> str:
        """What tables show in a column's header: `mini-clip`; of a hub id or folder the last part."""
        return "" if column in self.pixel_columns else ", ".join(name.split("/")[-1] for name in self.encoders)

    @property
    def recipe(self) -> str:
        """The recipe of the values: the metric's id, then extractor, truth and scorer where it uses any."""
        scorer = None if self.scorer is None else self.scorer.id
        proportion = None if self.unit == "set" or None in self.bounds else "proportion"
        ids = [self.metric, self.extractor, self.truth, scorer, proportion]
        return ", ".join(name for name in ids if name)


@dataclass(frozen=True)
class Scores:
    """One method's values of one metric, one row per sample; NaN is missing, and is counted as such, never as 0.

    Args:
        values: float64 (N,).
        users: (N,) the user of each row.
        prompts: (N,) the prompt of each row.
        keys: (N,) what pairs a row with the same row of another method, such as case and sample index; unique. Without
            keys, methods must hold their rows in the same order.
        bounds: of proportions, the least and the greatest value there can be: intervals then allow for exceptions that
            are so rare that a sample may hold none (`stats.proportions`).
        unpaired: how many rows were left out because other methods do not have them.
    """

    values: NDArray[np.float64]
    users: NDArray[np.str_]
    prompts: NDArray[np.str_]
    keys: NDArray[np.str_] | None = None
    bounds: Bounds = (None, None)
    unpaired: int = 0

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
        """Only some rows, by a mask or by their indices."""
        keys = None if self.keys is None else self.keys[rows]
        return Scores(self.values[rows], self.users[rows], self.prompts[rows], keys, self.bounds, self.unpaired)


@dataclass(frozen=True)
class Column:
    """All values of one metric column of a run, one row per planned sample or per user; NaN where there is none."""

    scores: Scores
    direction: str
    question: str
    won_by: tuple[str, ...]
    unit: str = "image"
    unranked: str = ""
    scorer: str = ""
    extractor: str = ""
    """The name of the encoder that it rests on, as tables show it behind the column's name; empty without one."""
    foreign: str = ""
    """Why that encoder is not to be trusted with this suite's pictures; empty where it is."""

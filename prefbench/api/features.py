"""What an extractor is, and the sets of features that metrics compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from prefbench.api.drawn import TextsRead
from prefbench.api.errors import PrefbenchError
from prefbench.api.grids import counted
from prefbench.api.pictures import Pixels

FloatArray = NDArray[np.float64]
"""Numbers of any kind and shape: utilities, probabilities, scores."""
Features = NDArray[np.float64]
"""Embeddings alone: (N, D), one row per image or text."""
RANGE = (1e-100, 1e40)
"""The largest absolute feature lies between these: products of up to six features then stay within float64."""


@dataclass(frozen=True)
class ExtractorCard:
    """What an extractor is. A constructor or class that has one bears it as its attribute `card`."""

    name: str
    summary: str
    world: str | None = None
    """The suite whose pictures alone it learned from; None where it learned from pictures of many kinds or from none.
    Columns that it measures on another suite are marked."""


class Extractor(Protocol):
    """Turns images and texts into features; one pass serves every metric that names it."""

    @property
    def id(self) -> str:
        """`name[recipe]@hash of the weights`: the cache key. Tables show the name, up to the first `[` or `@`."""

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D) of uint8 pictures, of any real type; they are stored and measured as float64."""

    def texts(self, texts: Sequence[str]) -> Features:
        """Features (N, D) of texts. Raises `PrefbenchError` where the extractor has no text tower."""


@runtime_checkable
class ReadsTexts(Protocol):
    """An extractor, scorer or metric that reads texts and says how many it cuts."""

    def texts_read(self, texts: Sequence[str]) -> TextsRead | None:
        """How many of these texts are cut; None for one that reads every text whole or none at all."""


def as_features(values: object, owner: str, rows: Sequence[str] = ()) -> Features:
    """Numbers (N, D) as float64: integers, and floats of any width, are converted.

    Args:
        owner: whose features these are, for messages.
        rows: names of the rows, for messages; by default their indices.

    Raises:
        PrefbenchError: no table (N, D) of real numbers; a number that is not finite; numbers so large, or all so small,
            that float64 cannot hold their products (`RANGE`).
    """
    try:
        table = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise PrefbenchError(f"{owner}: features are numbers (N, D), got rows of unlike lengths") from error
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise PrefbenchError(f"{owner}: features are numbers (N, D), got {table.dtype} {table.shape}")
    features: Features = table.astype(np.float64, copy=False)
    sizes = np.abs(features).max(axis=1, initial=0)
    bad = np.flatnonzero(~np.isfinite(sizes))
    if len(bad):
        first = rows[bad[0]] if len(rows) else f"row {bad[0]}"
        raise PrefbenchError(f"{owner}: {counted(len(bad), 'row')} of features not finite, first {first}")
    largest, (low, high) = float(sizes.max(initial=0)), RANGE
    if largest > high or 0 < largest < low:
        raise PrefbenchError(f"{owner}: features reach {largest:.3g}, their products leave float64; scale them")
    return features


@dataclass(frozen=True)
class FeatureSet:
    """Features (N, D) with the user and the prompt of each row. Concatenating rows merges sets exactly.

    Numbers of any width are held as float64 (`as_features`). An empty prompt is none: such rows share no prompt.

    Raises:
        PrefbenchError: what `as_features` refuses, or not one user and prompt a row.
    """

    features: Features
    users: NDArray[np.str_]
    prompts: NDArray[np.str_]

    def __post_init__(self) -> None:
        features = as_features(self.features, "a set")
        object.__setattr__(self, "features", features)
        if not len(features) == len(self.users) == len(self.prompts):
            counts = f"{len(features)} features, {len(self.users)} users, {len(self.prompts)} prompts"
            raise PrefbenchError(f"a set has one user and one prompt a row, got {counts}")

    def __len__(self) -> int:
        return len(self.features)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FeatureSet:
        """The set of some rows."""
        return FeatureSet(self.features[rows], self.users[rows], self.prompts[rows])

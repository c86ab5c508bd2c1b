"""What an extractor is, and the sets of features that metrics compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from prefbench.api.drawn import TextsRead
from prefbench.api.records import Pixels

FloatArray = NDArray[np.float64]
"""Numbers of any kind and shape: utilities, probabilities, scores."""
Features = NDArray[np.float64]
"""Embeddings alone: (N, D), one row per image or text."""


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
        """Features (N, D) of uint8 pictures."""

    def texts(self, texts: Sequence[str]) -> Features:
        """Features (N, D) of texts. Raises `PrefbenchError` where the extractor has no text tower."""


@runtime_checkable
class ReadsTexts(Protocol):
    """An extractor, scorer or metric that reads texts and says how many it cuts."""

    def texts_read(self, texts: Sequence[str]) -> TextsRead | None:
        """How many of these texts are cut; None for one that reads every text whole or none at all."""


@dataclass(frozen=True)
class FeatureSet:
    """Features (N, D) with the user and the prompt of each row. Concatenating rows merges sets exactly."""

    features: Features
    users: NDArray[np.str_]
    prompts: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.features)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FeatureSet:
        """The set of some rows."""
        return FeatureSet(self.features[rows], self.users[rows], self.prompts[rows])

"""Gradients of measuring instruments, for attackers that climb them; instruments offer them where they can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from prefbench.api.features import FloatArray
from prefbench.api.records import History

if TYPE_CHECKING:
    from torch import Tensor


class Slopes(NamedTuple):
    """What an instrument says of pictures (N, H, W, 3), whose levels of 0 to 255 need not be whole here."""

    values: FloatArray
    """(N,)"""
    gradients: FloatArray
    """(N, H, W, 3): by how much a picture's value rises per level of each of its numbers."""


@runtime_checkable
class SlopedTruth(Protocol):
    """A truth that says how its utility changes with the pixels."""

    def utility_slopes(self, user: str, prompts: Sequence[str], pictures: FloatArray) -> Slopes:
        """Of the total that `Truth.utility` gives: everything that it averages over is averaged over here."""


@runtime_checkable
class SlopedScorer(Protocol):
    """A scorer that says how its score changes with the pixels."""

    def score_slopes(self, history: History, prompts: Sequence[str], pictures: FloatArray) -> Slopes:
        """Of what `Scorer.score` gives."""


@runtime_checkable
class SlopedExtractor(Protocol):
    """An extractor that says how a function of its features changes with the pixels."""

    def image_slopes(self, pictures: FloatArray, value: Callable[[Tensor], Tensor]) -> Slopes:
        """`value` turns features (N, D) into values (N,)."""

"""Balls around references, whose drawn images density and coverage count (Naeem et al. 2020, section 3).

Counts are those of `sklearn.neighbors.NearestNeighbors`, as a test compares; it is not used here for two reasons. Its
fast method (`brute`) finds equal pictures at distances above 0, so copies would fall inside balls of radius 0, and its
exact one (`kd_tree`) takes eight times as long (4.2 s in place of 0.5 s for 1,000 images per set with 384 features).
And leaving users out needs all distances, which it does not give.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from prefbench.api import Features, FeatureSet, NotMeasurableError, Resampling, SetMetric, agreeing

from .checks import check_features

NEAREST = 5
"""k: a ball reaches to the k-th nearest other reference."""
LEAST = 4 * NEAREST
"""With fewer references a ball would hold over a quarter of them, which is no neighbourhood."""
_BLOCK = 1024
"""Rows of a distance matrix held at a time."""
_MOST_DISTANCES = 25_000_000
"""Most distances held at once for leave-one-out values: 200 MB, of 3,500 references and as many drawn images."""


@dataclass(frozen=True)
class Balls:
    """For each of n references how many drawn samples lie inside its ball, not on its edge, out of m."""

    inside: NDArray[np.int64]
    drawn: int

    @classmethod
    def around(cls, metric: str, drawn: FeatureSet, reference: FeatureSet) -> Balls:
        """Counts the samples in each ball. Raises `NotMeasurableError` for under 20 references or 2 drawn images."""
        _check(metric, drawn, reference)
        together = np.zeros(len(drawn), dtype=np.int64)
        return cls(_inside(reference.features, drawn.features, together, 1)[:, 0], len(drawn))


class BallCount(SetMetric):
    """A set metric that is a function of how many drawn images each reference's ball holds."""

    @abstractmethod
    def value(self, balls: Balls) -> float:
        """The metric's value, from counted balls."""

    @property
    def resampling(self) -> Resampling:
        """Counts per user, and measures each distance, only once."""
        return _BallResampling(self)

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The value. Raises `NotMeasurableError` for fewer than 20 references or 2 drawn images."""
        return self.value(Balls.around(self.card.name, drawn, reference))


class _BallResampling(Resampling):
    metric: BallCount

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        _check(self.metric.card.name, first, reference)
        names, user = np.unique(first.users, return_inverse=True)
        both = np.concatenate([first.features, second.features])
        filled = _inside(reference.features, both, np.concatenate([user, len(names) + user]), 2 * len(names))

        def value_of(members: NDArray[np.bool_]) -> float:
            return self.metric.value(Balls(filled[:, members].sum(axis=1), len(first)))

        return lambda marked: value_of(np.r_[~marked, marked]) - value_of(np.r_[marked, ~marked])

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        if len(reference) * (len(reference) + len(drawn)) > _MOST_DISTANCES:
            return super().leave_one_out(drawn, reference, of_drawn, of_reference)
        distances, owners = _nearest_references(reference, of_reference)
        across = _distances(reference.features, drawn.features)
        values = []
        for group in range(of_drawn.max() + 1):
            drawn_rows, reference_rows = of_drawn != group, of_reference != group
            _check(self.metric.card.name, drawn.select(drawn_rows), reference.select(reference_rows))
            inside = across < _radii(np.where(owners == group, np.inf, distances))[:, None]
            counts = inside[reference_rows][:, drawn_rows].sum(axis=1)
            values.append(self.metric.value(Balls(counts, int(drawn_rows.sum()))))
        return values


def _nearest_references(reference: FeatureSet, groups: NDArray[np.int64]) -> tuple[Features, NDArray[np.int64]]:
    """Distances (M, n) from each reference to its nearest others, and the groups (M, n) of these.

    After leaving out a group of at most g rows, the k-th nearest of the others is among the k + g nearest of all.
    """
    among = _distances(reference.features, reference.features)
    np.fill_diagonal(among, np.inf)
    largest = np.bincount(groups + 1)[1:].max(initial=0)
    near = np.argpartition(among, min(NEAREST + largest, len(reference)) - 1, axis=1)[:, : NEAREST + largest]
    return np.take_along_axis(among, near, axis=1), groups[near]


def _radii(distances: Features) -> Features:
    """Distance (M,) of each reference to its k-th nearest other one, from distances (M, others)."""
    radii: Features = np.partition(distances, NEAREST - 1, axis=1)[:, NEAREST - 1]
    return radii


def _check(metric: str, drawn: FeatureSet, reference: FeatureSet) -> None:
    check_features(metric, drawn, reference)
    if len(reference) < LEAST:
        there = f"there {agreeing(len(reference), 'is', 'are')} {len(reference)}"
        raise NotMeasurableError(f"{metric} needs at least {LEAST} reference images, {there}")


def _inside(reference: Features, drawn: Features, groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many samples of each group lie in the ball of each reference, (references, groups), blocks of them at a time.

    Args:
        groups: of every drawn sample, 0 to `count` - 1.
    """
    belongs = np.zeros((len(drawn), count))
    belongs[np.arange(len(drawn)), groups] = 1
    filled = []
    for start in range(0, len(reference), _BLOCK):
        block = reference[start : start + _BLOCK]
        to_others = _distances(block, reference)
        own = np.arange(len(block))
        to_others[own, start + own] = np.inf  # a reference is no neighbour of itself
        filled.append((_distances(block, drawn) < _radii(to_others)[:, None]) @ belongs)
    return np.concatenate(filled).astype(np.int64)


def _distances(x: Features, y: Features) -> Features:
    """Squared distances by differences, not by products: equal for equal pairs of rows wherever these stand and lie."""
    distances: Features = cdist(x, y, "sqeuclidean")
    return distances

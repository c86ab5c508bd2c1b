"""`coverage`: how many of the references have a drawn image near them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, MetricCard, SetMetric

from .shared.neighbours import Balls, balls_without_each, exchanged_balls


class Coverage(SetMetric):
    """The share of references whose ball holds a drawn image (Naeem et al. 2020, equation 4); 0 to 1.

    The ball of a reference reaches to its 5th nearest other reference. Variety that is real: outliers among the drawn
    images cover nothing, and one image drawn over and over covers a few balls.

    It grows with the number of drawn images and shrinks with that of references: at equal numbers n, images from the
    references' own distribution are expected to reach 1 - (n-1)…(n-5) / ((2n-1)…(2n-5)), 0.97 and nearly the same for
    every n. Compare at equal n only (scoring takes equal numbers of both); 20 references are the least that is
    measured, 300 the least to read differences from. Copies of references win. Pairs of the same user are not dropped.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="coverage",
        version="1",
        summary="Share of reference images that have a drawn image nearer than their 5th nearest reference",
        question="fidelity",
        direction="up",
        unit="set",
        recipe="float64,k5,strictly-inside,self-excluded",
        bounds=(0.0, 1.0),
        source="https://arxiv.org/abs/2002.09797",
        won_by=("copy",),
    )

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The share. Raises `NotMeasurableError` for under 20 references or 2 drawn images."""
        return _coverage(Balls.around(self.card.name, drawn, reference))

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """As the contract says, from what each user's images fill."""
        return exchanged_balls(self.card.name, first, second, reference, _coverage)

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        """As the contract says, from distances measured once."""
        return balls_without_each(self, drawn, reference, of_drawn, of_reference, _coverage)


def _coverage(balls: Balls) -> float:
    return float((balls.inside > 0).mean())

"""`density`: how deep among the references the drawn images lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, MetricCard, SetMetric

from .shared.neighbours import NEAREST, Balls, balls_without_each, exchanged_balls


class Density(SetMetric):
    """The mean over drawn images of the number of reference balls that hold it, over k (Naeem et al. 2020, equation 3).

    The ball of a reference reaches to its 5th nearest other reference. 0 where no image lies near any reference; 1 is
    expected of images from the references' own distribution; above 1 where they crowd where references are dense.

    Fidelity without variety: one typical image drawn over and over has a high density, so read it beside `coverage`.
    Copies of references win. Compare at equal numbers of references (scoring takes equal numbers of both); 20
    references are the least that is measured, 300 the least to read differences from. Pairs of the same user are not
    dropped.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="density",
        version="1",
        summary="How many balls around references hold a drawn image, over what is expected of a reference",
        question="fidelity",
        direction="up",
        unit="set",
        recipe="float64,k5,strictly-inside,self-excluded",
        bounds=(0.0, None),
        source="https://arxiv.org/abs/2002.09797",
        won_by=("copy",),
    )

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The density. Raises `NotMeasurableError` for under 20 references or 2 drawn images."""
        return _density(Balls.around(self.card.name, drawn, reference))

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """As the contract says, from what each user's images fill."""
        return exchanged_balls(self.card.name, first, second, reference, _density)

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        """As the contract says, from distances measured once."""
        return balls_without_each(self, drawn, reference, of_drawn, of_reference, _density)


def _density(balls: Balls) -> float:
    return float(balls.inside.sum() / (NEAREST * balls.drawn))

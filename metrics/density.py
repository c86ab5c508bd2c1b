"""`density`: how many references' neighbourhoods each drawn image lies in."""

from __future__ import annotations

from typing import ClassVar

from prefbench.api import MetricCard

from .shared.ball_count import NEAREST, BallCount, Balls


class Density(BallCount):
    """The mean over drawn images of the number of reference balls that hold it, over k (Naeem et al. 2020, equation 3).

    The ball of a reference reaches to its 5th nearest other reference. 0 where no image lies near any reference; 1 is
    expected of images from the references' own distribution; more where they crowd in dense regions.

    Fidelity without variety: one typical image drawn over and over has a high density, so read it beside `coverage`.
    Copies of references win. Compare at equal numbers of references (scoring takes equal numbers of both); 20
    references are the least that is measured, 300 the least to read differences from. Pairs of the same user are not
    dropped.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="density",
        version="2",
        summary="How many balls around references hold a drawn image, over what is expected of a reference",
        question="fidelity",
        direction="up",
        unit="set",
        recipe="float64,k5,strictly-inside,self-excluded",
        bounds=(0.0, None),
        source="https://arxiv.org/abs/2002.09797",
        won_by=("copy",),
        least=300,
        won_how="it looks at neither prompt nor user, and copied pictures are real ones",
    )

    def value(self, balls: Balls) -> float:
        """Images in balls, over k and the number of drawn images."""
        return float(balls.inside.sum() / (NEAREST * balls.drawn))

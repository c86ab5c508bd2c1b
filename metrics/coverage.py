"""`coverage`: how many of the references have a drawn image near them."""

from __future__ import annotations

from typing import ClassVar

from prefbench.api import MetricCard

from .shared.ball_count import BallCount, Balls


class Coverage(BallCount):
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
        version="2",
        summary="Share of reference images that have a drawn image nearer than their 5th nearest reference",
        question="fidelity",
        direction="up",
        unit="set",
        recipe="float64,k5,strictly-inside,self-excluded",
        bounds=(0.0, 1.0),
        source="https://arxiv.org/abs/2002.09797",
        won_by=("copy",),
        least=300,
        won_how="it looks at neither prompt nor user, and copied pictures are real ones",
    )

    def value(self, balls: Balls) -> float:
        """The share of balls that hold an image."""
        return float((balls.inside > 0).mean())

"""`cmmd`: the distance of Jayasumana et al. as published, to be compared with published numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, MetricCard, NotMeasurableError, SetMetric
from prefbench.stats.mmd import GaussianMixture, biased_mmd

from .fid import check_features
from .shared.cosines import units
from .shared.user_sums import mmd_without_each, sums_of_all

_KERNEL = GaussianMixture((10.0,))


class ClipDistance(SetMetric):
    """1000 x the biased squared MMD of unit vectors under exp(-d² / 2·10²) (Jayasumana et al. 2024, section 4).

    0 for equal sets, at most 2000; published numbers are of CLIP ViT-L/14 at 336 pixels, those of another extractor do
    not compare with them.

    Kept for compatibility; `mmd` answers the same question without these flaws:

    - unit vectors are at most 2 apart, so a width of 10 makes the kernel nearly linear: it sees the difference of means
      (about 10 |difference|²) and hardly any difference in spread;
    - the V-statistic is biased upwards by 1000 (1 - mean kernel) (1/m + 1/n) for m and n independent images (0.02 at
      1,000 and a mean cosine of 0): compare only at the same n, beside the floor;
    - images of one user are not independent, and pairs of them enter.

    Copies of references win.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="cmmd",
        version="1",
        summary="Squared MMD (Gaussian of width 10, biased) between drawn and reference images' directions, times 1000",
        question="fidelity",
        direction="down",
        unit="set",
        recipe="float64,unit-vectors,gaussian-10,biased,x1000",
        bounds=(0.0, 2000.0),
        source="https://arxiv.org/abs/2401.09603",
        won_by=("copy",),
    )

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The distance. Raises `NotMeasurableError` for under two samples a side or a feature without a direction."""
        check_features(self.card.name, drawn, reference)
        x, y = _directed(drawn), _directed(reference)
        # All pairs with themselves in both sets: the statistic is a squared norm, below 0 only by rounding.
        return max(0.0, 1000 * float(biased_mmd(x.features, y.features, _KERNEL)))

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """As the contract says, from kernel sums between users."""
        check_features(self.card.name, first, reference)
        sums = sums_of_all(_directed(first), _directed(second), _directed(reference), _KERNEL)
        return lambda marked: 1000 * sums.difference(marked)

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        """As the contract says, from kernel sums between groups."""
        self.compare(drawn, reference)  # refuses what it cannot measure
        groups, kernel = (of_drawn, of_reference), _KERNEL
        found = mmd_without_each(_directed(drawn), _directed(reference), *groups, kernel, same_user_pairs=True)
        return [max(0.0, 1000 * value) for value in found]


def _directed(features: FeatureSet) -> FeatureSet:
    rows = units(features.features)
    if not np.isfinite(rows).all():
        raise NotMeasurableError("cmmd: a feature vector is 0 and has no direction")
    return replace(features, features=rows)

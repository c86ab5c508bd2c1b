"""`cmmd`: the distance of Jayasumana et al. as published, to be compared with published numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from prefbench.api import FeatureSet, MetricCard, NotMeasurableError
from prefbench.stats.mmd import GaussianMixture

from .shared.cosines import normalised
from .shared.kernel_distance import KernelDistance


class ClipDistance(KernelDistance):
    """1000 x the biased squared MMD of unit vectors under exp(-d² / 2·10²) (Jayasumana et al. 2024, section 4).

    0 for equal sets, at most 2000; published numbers are of CLIP ViT-L/14 at 336 pixels, those of another extractor do
    not compare with them.

    Kept for compatibility; `mmd` answers the same question without these flaws:

    - unit vectors are at most 2 apart, so a width of 10 makes the kernel nearly linear: it sees the difference of means
      (about 10 |difference|²) and hardly any difference in spread;
    - the V-statistic is biased upwards by 1000 (1 - mean kernel) (1/m + 1/n) for m and n independent images (0.02 at
      1,000 and a mean cosine of 0): compare only at the same n, beside the floor;
    - images of one user or one prompt are not independent, and pairs of them enter.

    Copies of references win. Marked `few` under 100 images a side, where the bias is above 0.2.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="cmmd",
        version="2",
        summary="Squared MMD (Gaussian of width 10, biased) between drawn and reference images' directions, times 1000",
        question="fidelity",
        direction="down",
        unit="set",
        recipe="float64,unit-vectors,gaussian-10,biased,x1000",
        bounds=(0.0, 2000.0),
        least=100,
        source="https://arxiv.org/abs/2401.09603",
        won_by=("copy",),
        won_how="it looks at neither prompt nor user, and copied pictures are real ones",
    )

    all_pairs = True

    def kernel(self, reference: FeatureSet) -> GaussianMixture:
        """exp(-d² / 2·10²), whatever the references are."""
        del reference
        return GaussianMixture((10.0,))

    def embedded(self, images: FeatureSet) -> FeatureSet:
        """Unit vectors. Raises `NotMeasurableError` for a feature without a direction."""
        rows = normalised(images.features)
        if not np.isfinite(rows).all():
            raise NotMeasurableError("cmmd: a feature vector is 0 and has no direction")
        return replace(images, features=rows)

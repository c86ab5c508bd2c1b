"""`kid`: the kernel distance between the features of drawn and of reference images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from prefbench.api import FeatureSet, MetricCard, NotMeasurableError, SetMetric
from prefbench.mmd import cubic_kernel, unbiased_mmd

from .fid import check_features


class KernelDistance(SetMetric):
    """Squared MMD of features under the cubic kernel (Bińkowski et al. 2018, section 4), times 1000.

    Unbiased at any number of samples, unlike `fid`, so it may be below 0. All samples enter at once, no random subsets.
    Pairs of images of the same user are dropped, within a set and across: they are alike because they share a taste.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="kid",
        version="1",
        summary="Squared MMD (cubic kernel) between the features of drawn and reference images, times 1000",
        question="fidelity",
        direction="down",
        unit="set",
        recipe="float64,unbiased,no-subsets,same-user-pairs-dropped,x1000",
        source="https://arxiv.org/abs/1801.01401",
        won_by=("copy",),
    )

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The distance. Raises `NotMeasurableError` for under two users a side."""
        check_features(self.card.name, drawn, reference)
        for side, features in (("drawn", drawn), ("reference", reference)):
            if len(np.unique(features.users)) < 2:
                raise NotMeasurableError(f"kid needs {side} images of at least 2 users, there is 1")
        users = (drawn.users, reference.users)
        return 1000 * float(unbiased_mmd(drawn.features, reference.features, cubic_kernel, users=users))

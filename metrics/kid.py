"""`kid`: the kernel distance between the features of drawn and of reference images."""

from __future__ import annotations

from typing import ClassVar

from prefbench.api import FeatureSet, MetricCard
from prefbench.stats.mmd import Kernel, cubic_kernel

from .shared.kernel_distance import KernelDistance


class KernelInceptionDistance(KernelDistance):
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

    def kernel(self, reference: FeatureSet) -> Kernel:
        """(x.y / D + 1)³ of features of width D, whatever the references are."""
        del reference
        return cubic_kernel

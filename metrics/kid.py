"""`kid`: the kernel distance between the features of drawn and of reference images."""

from __future__ import annotations

from typing import ClassVar

from prefbench.api import FeatureSet, MetricCard
from prefbench.stats.mmd import Kernel, cubic_kernel

from .shared.kernel_distance import KernelDistance


class KernelInceptionDistance(KernelDistance):
    """1000 x MMD² of features under the cubic kernel k(x, y) = (x.y / D + 1)³ (Bińkowski et al. 2018, section 4).

    Takes features (N, D) and (M, D) of the suite's extractor with the role `fidelity`; gives one number, lower is
    better, 0 for equal distributions. Unbiased at any number of samples, unlike `fid`, so it may be below 0. All
    samples enter at once, no random subsets. Pairs of images of one user are left out, within a set and across sets:
    they are alike because they are of one user.

    What it misses: differences beyond the third moments of the features. Copies of references win.

    Example:
        >>> import numpy as np
        >>> users = np.array(["ann", "ben"])
        >>> drawn = FeatureSet(np.array([[1.0], [1.0]]), users, users)
        >>> reference = FeatureSet(np.array([[0.0], [0.0]]), users, users)
        >>> KernelInceptionDistance().compare(drawn, reference)  # 1000 (2³ + 1³ - 2 x 1³)
        7000.0
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

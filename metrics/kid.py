"""`kid`: the kernel distance between the features of drawn and of reference images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from prefbench.api import FeatureSet, MetricCard, NotMeasurableError
from prefbench.stats.mmd import Kernel, cubic_kernel

from .shared.kernel_distance import KernelDistance

_ROUNDING = 1e-4
"""The largest rounding error that is accepted, absolute or as a share of the value."""


class KernelInceptionDistance(KernelDistance):
    """1000 x MMD² of features under the cubic kernel k(x, y) = (x.y / D + 1)³ (Bińkowski et al. 2018, section 4).

    Takes features (N, D) and (M, D) of the suite's extractor with the role `fidelity`; gives one number, lower is
    better, 0 for equal distributions. All samples enter at once, no random subsets. Pairs of images of one user or of
    one prompt are left out, within a set and across sets: they are alike because they share it. So the number is
    unbiased for new users and new prompts, however few of both there are, and may be below 0 (`fid` is biased).

    What it misses: differences beyond the third moments of the features. With few prompts the interval is wide: the ten
    of picturebook's first world move the number by a hundred and more. "Unbiased" takes prompts as drawn at random:
    those ten name ten different objects, so two of them are less alike than two prompts of that world's references are,
    and the number is below 0 for all but some attacks. There its differences count, not its value. Marked `few` under
    100 images a side, where two halves of that world's references differ by 26 (standard deviation) and by 10 at 300.
    Copies of references win.

    Example:
        >>> import numpy as np
        >>> users, prompts = np.array(["ann", "ben"]), np.array(["a cat", "a dog"])
        >>> drawn = FeatureSet(np.array([[1.0], [1.0]]), users, prompts)
        >>> reference = FeatureSet(np.array([[0.0], [0.0]]), users, prompts)
        >>> KernelInceptionDistance().compare(drawn, reference)  # 1000 (2³ + 1³ - 2 x 1³)
        7000.0
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="kid",
        version="2",
        summary="Squared MMD (cubic kernel) between the features of drawn and reference images, times 1000",
        question="fidelity",
        direction="down",
        unit="set",
        recipe="float64,unbiased,no-subsets,same-user-and-same-prompt-pairs-dropped,x1000",
        source="https://arxiv.org/abs/1801.01401",
        won_by=("copy",),
        least=100,
        won_how="it looks at neither prompt nor user, and copied pictures are real ones",
    )

    def kernel(self, reference: FeatureSet) -> Kernel:
        """(x.y / D + 1)³ of features of width D, whatever the references are."""
        del reference
        return cubic_kernel

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The distance. Raises `NotMeasurableError` as of any kernel, and where rounding hides it.

        The kernel is not that of differences, so far from the origin it is huge and the distance, a difference of its
        means, loses its digits.
        """
        value = super().compare(drawn, reference)
        lengths = max(float((s.features**2).mean(axis=1).max()) for s in (drawn, reference))
        rounding = 1000 * (lengths + 1) ** 3 * float(np.finfo(np.float64).eps)
        if rounding > _ROUNDING * max(1.0, abs(value)):
            raise NotMeasurableError(
                f"kid: features lie too far from the origin (|x|²/D up to {lengths:.3g}): its kernel leaves no digits"
            )
        return value

"""`mmd`: how far the distribution of drawn images is from that of reference images, in all its moments."""

from __future__ import annotations

from typing import ClassVar

from prefbench.api import FeatureSet, MetricCard, NotMeasurableError
from prefbench.stats.mmd import GaussianMixture

from .shared.kernel_distance import KernelDistance


class GaussianDistance(KernelDistance):
    """1000 x the squared MMD under a mixture of five Gaussian kernels (Gretton et al. 2012, lemma 6 and section 8).

    The widths are 1/4, 1/2, 1, 2 and 4 times the median distance between references, so the number does not depend on
    the scale of features, and every method is measured with one kernel against one set of references. Such a kernel
    distinguishes any two distributions; `kid`'s cubic one compares three moments, `cmmd`'s wide one little more than
    the mean.

    0 for equal distributions, at most 2000. Pairs of images of one user or of one prompt are dropped, within a set and
    across: they are alike because they share it. So the number is unbiased for new users and new prompts, however few
    of both there are, and may be below 0. Marked `few` under 100 images a side.

    What can go wrong: copies of references win. The kernel's width depends on the reference set.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="mmd",
        version="2",
        summary="Squared MMD (five Gaussian kernels) between drawn and reference images' features, times 1000",
        question="fidelity",
        direction="down",
        unit="set",
        recipe="float64,unbiased,gaussians-0.25+0.5+1+2+4-of-reference-median,same-user-and-same-prompt-pairs-dropped,x1000",
        bounds=(None, 2000.0),
        source="https://jmlr.org/papers/v13/gretton12a.html",
        won_by=("copy",),
        least=100,
        won_how="it looks at neither prompt nor user, and copied pictures are real ones",
    )

    def kernel(self, reference: FeatureSet) -> GaussianMixture:
        """Five Gaussians about the references' median distance. Raises `NotMeasurableError` where that is 0."""
        try:
            return GaussianMixture.at_median(reference.features)
        except ValueError as error:
            raise NotMeasurableError(f"mmd: of the references {error}") from error

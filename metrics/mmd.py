"""`mmd`: how far the distribution of drawn images is from that of reference images, in all its moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, MetricCard, NotMeasurableError, SetMetric
from prefbench.stats.mmd import GaussianMixture, unbiased_mmd

from .fid import check_features
from .shared.user_sums import check_users, mmd_without_each, sums_between_users


class GaussianDistance(SetMetric):
    """1000 x the squared MMD under a mixture of five Gaussian kernels (Gretton et al. 2012, lemma 6 and section 8).

    The widths are 1/4, 1/2, 1, 2 and 4 times the median distance between references, so the number does not depend on
    the scale of features, and every method is measured with one kernel against one set of references. Such a kernel
    tells any two distributions apart, in spread as in mean; `kid`'s cubic one sees three moments, `cmmd`'s wide one
    nearly the mean alone.

    Unbiased at any number of samples, so it may be below 0; 0 for equal distributions, at most 2000. Pairs of images of
    the same user are dropped, within a set and across: they are alike because they share a taste. 100 samples of 20
    users are the least to read anything from.

    What can go wrong: copies of references win. A reference set with another number of images has another width.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="mmd",
        version="1",
        summary="Squared MMD (five Gaussian kernels) between drawn and reference images' features, times 1000",
        question="fidelity",
        direction="down",
        unit="set",
        recipe="float64,unbiased,gaussians-0.25+0.5+1+2+4-of-reference-median,same-user-pairs-dropped,x1000",
        bounds=(None, 2000.0),
        source="https://jmlr.org/papers/v13/gretton12a.html",
        won_by=("copy",),
    )

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The distance. Raises `NotMeasurableError` for under two users a side, or references that are all alike."""
        check_features(self.card.name, drawn, reference)
        check_users(self.card.name, drawn, reference)
        users = (drawn.users, reference.users)
        return 1000 * float(unbiased_mmd(drawn.features, reference.features, _kernel(reference), users=users))

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """As the contract says, from kernel sums between users."""
        self.compare(first, reference)  # refuses what it cannot measure
        sums = sums_between_users(first, second, reference, _kernel(reference))
        return lambda marked: 1000 * sums.difference(marked)

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        """As the contract says, from kernel sums between groups; the widths stay those of all references."""
        self.compare(drawn, reference)  # refuses what it cannot measure
        groups, kernel = (of_drawn, of_reference), _kernel(reference)
        found = mmd_without_each(drawn, reference, *groups, kernel, same_user_pairs=False)
        return [1000 * value for value in found]


def _kernel(reference: FeatureSet) -> GaussianMixture:
    try:
        return GaussianMixture.at_median(reference.features)
    except ValueError as error:
        raise NotMeasurableError(f"mmd: of the references {error}") from error

"""Two groups of different users: the difference of their means, with the user as the unit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray, Scores
from prefbench.stats import LEVEL


class GroupDifference(NamedTuple):
    """One group's mean over users minus the other's."""

    first: float
    second: float
    difference: float
    low: float | None
    """None, like the next two, where a group has fewer than two users."""
    high: float | None
    p_value: float | None
    n_first: int
    n_second: int


def group_difference(first: Scores, second: Scores, *, level: float = LEVEL) -> GroupDifference:
    """Welch's t test of the users' means. Prompts that both groups share move both alike and are no part of it.

    Example:
        >>> import numpy as np
        >>> users = np.array(["a", "b", "c"])
        >>> group_difference(Scores(np.arange(3.0), users, users), Scores(np.arange(3.0) - 1, users, users)).difference
        1.0
    """
    from scipy.stats import ttest_ind

    one, other = user_means(first), user_means(second)
    means = float(one.mean()), float(other.mean())
    difference = means[0] - means[1]
    sizes = len(one), len(other)
    if min(sizes) < 2 or not (one.std() or other.std()):
        return GroupDifference(*means, difference, None, None, None, *sizes)
    test = ttest_ind(one, other, equal_var=False)
    ends = test.confidence_interval(level)
    return GroupDifference(*means, difference, float(ends.low), float(ends.high), float(test.pvalue), *sizes)


def user_means(scores: Scores) -> FloatArray:
    """The mean (U,) of every user who has a value. Raises `ValueError` where none has one."""
    known = ~np.isnan(scores.values)
    if not known.any():
        raise ValueError("no user has a value")
    places = np.unique(scores.users[known], return_inverse=True)[1]
    means: FloatArray = np.bincount(places, weights=scores.values[known]) / np.bincount(places)
    return means

"""How large a paired difference is beside what users differ by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefbench.api import Scores
from prefbench.stats.scores import differences, scale_of, user_means, without_ties


@dataclass(frozen=True)
class Effect:
    """The size of a paired difference in units of users."""

    dz: float | None
    """The mean of users' mean differences over their standard deviation (Cohen's d for paired data); None where users
    do not differ."""
    wins: float | None
    """The share of users whose mean is higher, ties counted half (probability of superiority); None without users."""


def effect(a: Scores, b: Scores) -> Effect:
    """The size of `a` minus `b` on the same keys.

    Raises:
        ValueError: the two are not scored on the same keys.

    Example:
        >>> users = np.array(["ann", "bob", "cyd"])
        >>> scores = [Scores(np.array(v), users, users) for v in ([3.0, 2.0, 1.0], [1.0, 2.0, 0.0])]
        >>> effect(*scores)
        Effect(dz=1.0, wins=0.8333333333333334)
    """
    means = without_ties(user_means(differences(a, b)), scale_of(a, b))
    if not len(means):
        return Effect(None, None)
    deviation = float(without_ties(means.std(ddof=1), scale_of(a, b))) if len(means) > 1 else 0.0
    dz = float(means.mean()) / deviation if deviation > 0 else None
    return Effect(dz, float((1 + np.sign(means)).mean() / 2))

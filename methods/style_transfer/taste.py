"""A model of what a person likes, learned from choices and seen through styles alone: logistic regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from prefbench.api import Features, Judgment


def fit_taste(preferred: Features, *, precision: float) -> Features:
    """The most probable w (D,) under P(first is preferred) = 1 / (1 + exp(-w x)) and w ~ N(0, I / precision).

    Args:
        preferred: the style of what was preferred minus that of what was not, (N, D).
        precision: of the prior; the higher it is, the less a person's choices count.
    """

    def loss(weights: Features) -> tuple[float, Features]:
        margins = preferred @ weights
        slope = precision * weights - preferred.T @ expit(-margins)
        return float(np.logaddexp(0, -margins).sum() + precision / 2 * weights @ weights), slope

    start = np.zeros(preferred.shape[1])
    result: Features = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 10_000, "gtol": 1e-7}).x
    return result


def scale_of(styles: Features) -> float:
    """The mean squared distance of styles (N, D) from their mean: in units of it a precision fits every network."""
    return float(np.square(styles - styles.mean(axis=0)).sum(axis=1).mean())


def differences(judgments: Sequence[Judgment], styles: Features) -> Features:
    """What was preferred minus what was not: (N, D), one row a pair, and one for each picture judged by itself.

    A picture judged by itself is compared with the middle between the mean like and the mean dislike of such pictures;
    where they are all on one side, nothing is known of them.

    Args:
        judgments: likes and dislikes of one person.
        styles: the style of each, (M, D).
    """
    pairs, alone = _sorted(judgments)
    rows = [styles[liked] - styles[disliked] for liked, disliked in pairs]
    sides = [[i for i in alone if judgments[i].liked == liked] for liked in (True, False)]
    if all(sides):
        middle = np.mean([styles[side].mean(axis=0) for side in sides], axis=0)
        rows += [(styles[i] - middle) * (1 if judgments[i].liked else -1) for i in alone]
    return np.array(rows).reshape(len(rows), styles.shape[1])


def _sorted(judgments: Sequence[Judgment]) -> tuple[list[tuple[int, int]], list[int]]:
    """The places of the two of each pair, liked first, and of the judgments that stand alone."""
    places: dict[str, dict[bool, int]] = {}
    for i, judgment in enumerate(judgments):
        if judgment.pair is not None:
            places.setdefault(judgment.pair, {})[judgment.liked] = i
    pairs = [(both[True], both[False]) for both in places.values() if len(both) == 2]
    paired = {i for pair in pairs for i in pair}
    return pairs, [i for i in range(len(judgments)) if i not in paired]

"""Variants that were trained several times: means over their seeds, and intervals for other users and other seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from prefbench.api import Column, Estimate, Scores
from prefbench.stats import LEVEL


def mean_columns(seeds: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """Each column's values in the mean over seeds, drawn for the same keys; missing where one seed lacks a value.

    Raises:
        ValueError: runs that were not drawn for the same keys.
    """
    first = seeds[0]
    return {
        name: replace(column, scores=_mean([of_seed[name].scores for of_seed in seeds]))
        for name, column in first.items()
        if all(name in of_seed for of_seed in seeds)
    }


def _mean(seeds: Sequence[Scores]) -> Scores:
    first = seeds[0]
    if any(not np.array_equal(_keys(scores), _keys(first)) for scores in seeds):
        raise ValueError("the seeds of a variant were not drawn for the same samples, in one order")
    return replace(first, values=np.mean([scores.values for scores in seeds], axis=0))


def _keys(scores: Scores) -> NDArray[np.str_]:
    """What pairs its rows; users and prompts where they have no keys."""
    return scores.keys if scores.keys is not None else np.char.add(np.char.add(scores.users, "|"), scores.prompts)


class OverSeeds(NamedTuple):
    """The ends of an interval for other users and other seeds, and the p value of no difference from 0."""

    low: float
    high: float
    p: float


def over_seeds(estimate: Estimate, seeds: Sequence[float]) -> OverSeeds | None:
    """Widens an interval over users by what the seeds differ; None without an interval, or for one seed.

    Variances add up: that over users of the mean over seeds, from the interval's half-width, and s^2 / k over the k
    seeds. The degrees of freedom are Welch's and Satterthwaite's (Satterthwaite 1946, Biometrics 2:110).

    Args:
        seeds: the same number by each seed alone.
    """
    if len(seeds) < 2 or estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    users = max(1, estimate.n_users - 1)
    by_users = ((estimate.high - estimate.low) / 2 / student.ppf((1 + LEVEL) / 2, users)) ** 2
    by_seeds = float(np.var(seeds, ddof=1)) / len(seeds)
    total = by_users + by_seeds
    if total == 0:
        return OverSeeds(estimate.value, estimate.value, float(estimate.value == 0))
    freedom = total**2 / (by_users**2 / users + by_seeds**2 / (len(seeds) - 1))
    half = float(student.ppf((1 + LEVEL) / 2, freedom)) * total**0.5
    p = 2 * float(student.sf(abs(estimate.value) / total**0.5, freedom))
    return OverSeeds(estimate.value - half, estimate.value + half, p)

"""The model of a taste: utility is linear in principal components of unit-length features.

P(a is preferred to b) = 1 / (1 + exp(-(z(a) - z(b)) . t)), with a Gaussian prior on t (Bradley and Terry 1952 with
features). The taste of the others has the prior mean 0; one person's has the taste of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from prefbench.api import Features, FloatArray

from .comparisons import AVERAGE

COMPONENTS = 40
PRECISION_OF_OTHERS = 30.0
PRECISION_OF_PERSON = 10.0
"""Precisions of the two priors, where the mean square of a picture's coordinates, summed over components, is 1."""
_MOST_PICTURES = 20_000
_STEPS = 50
_TOLERANCE = 1e-12
"""What the log posterior may still gain."""
_SLACK = 1e-6
"""What it may lose in a step by rounding."""


@dataclass(frozen=True)
class Space:
    """Coordinates of pictures: the average picture is at 0, the mean square distance from it is 1."""

    centre: Features
    """(D,) of the average picture."""
    axes: Features
    """(K, D) orthogonal, the largest spread first."""

    @classmethod
    def of(cls, features: Features) -> Space:
        """The principal components of pictures (N, D), of the first `_MOST_PICTURES` where there are more."""
        used = features[:_MOST_PICTURES].astype(np.float64)
        centre = used.mean(axis=0)
        spread, axes = _principal(used - centre)
        count = min(COMPONENTS, int((spread > spread.max(initial=0) * 1e-6).sum()))
        size = float(np.sqrt((spread[:count] ** 2).sum()))
        # In single precision, as features are kept: products with a million of these are made without a copy.
        return cls(np.asarray(centre, dtype=np.float32), np.asarray(axes[:count] / (size or 1.0), dtype=np.float32))

    def coordinates(self, features: Features) -> Features:
        """(N, K) of pictures (N, D)."""
        return np.asarray(features @ self.axes.T - self.centre @ self.axes.T, dtype=np.float64)

    def differences(self, better: NDArray[np.int64], worse: NDArray[np.int64], features: Features) -> Features:
        """(C, K) from the worse to the better picture, by their rows of features (N, D); `AVERAGE` is at 0."""
        pictures, rows = np.unique(np.concatenate([better, worse]), return_inverse=True)
        coordinates = self.coordinates(features[pictures])
        coordinates[pictures == AVERAGE] = 0
        return np.asarray(coordinates[rows[: len(better)]] - coordinates[rows[len(better) :]])


def _principal(centred: Features) -> tuple[FloatArray, Features]:
    """Standard deviations (K,) along the axes (K, D), the largest first."""
    n, width = centred.shape
    if n <= width:
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        return np.asarray(singular / np.sqrt(max(n, 1))), np.asarray(axes)
    variances, vectors = np.linalg.eigh(centred.T @ centred / n)
    return np.asarray(np.sqrt(variances[::-1].clip(min=0))), np.asarray(vectors.T[::-1])


def fit_taste(differences: Features, *, mean: FloatArray, precision: float) -> FloatArray:
    """The most probable taste (K,) a posteriori, by Newton's method on a concave function.

    maximise sum_c log sigma(d_c . t) - precision / 2 |t - mean|^2

    Args:
        differences: (C, K) from the worse to the better picture.
        mean: (K,) of the prior.
        precision: of the prior, the same in all directions.
    """
    taste = mean.copy()
    for _ in range(_STEPS):
        wrong = expit(-differences @ taste)
        gradient = differences.T @ wrong - precision * (taste - mean)
        curvature = (differences.T * (wrong * (1 - wrong))) @ differences
        step = np.linalg.solve(curvature + precision * np.eye(len(taste)), gradient)
        if gradient @ step < _TOLERANCE:
            break
        # Far from the maximum a full step may overshoot.
        before = _objective(taste, differences, mean, precision)
        while _objective(taste + step, differences, mean, precision) < before - _SLACK:
            step = step / 2
        taste = taste + step
    return np.asarray(taste)


def _objective(taste: FloatArray, differences: Features, mean: FloatArray, precision: float) -> float:
    return float(log_expit(differences @ taste).sum() - precision / 2 * ((taste - mean) ** 2).sum())

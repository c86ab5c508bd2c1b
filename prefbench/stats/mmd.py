"""Kernels and estimators of the squared maximum mean discrepancy (Gretton et al., JMLR 2012, section 2.2).

One set of lines serves metrics (NumPy, float64) and losses (torch tensors, differentiable): every function takes either
and returns the same kind. Features are (N, D) and (M, D); an estimate is a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

A = TypeVar("A", NDArray[np.float64], "torch.Tensor")
Kernel = Callable[[Any, Any], Any]
"""(N, D) and (M, D) to (N, M)."""
Groups = Sequence[str] | NDArray[np.str_]
_BLOCK = 256
"""Rows of a kernel matrix held at a time: 20 MB at 10,000 columns."""


def cubic_kernel(x: A, y: A) -> A:
    """(x.y / D + 1)**3, the kernel of KID (Bińkowski et al., ICLR 2018)."""
    base: A = x @ y.T / x.shape[1] + 1
    return base * base * base  # NumPy's general power is far slower


@dataclass(frozen=True)
class GaussianMixture:
    """The mean of Gaussian kernels exp(-d**2 / 2w**2) over several widths w; 1 for equal points."""

    widths: tuple[float, ...]

    def __call__(self, x: A, y: A) -> A:
        squared = squared_distances(x, y)
        kernels = [_exp(squared / (-2 * width**2)) for width in self.widths]
        return sum(kernels[1:], start=kernels[0]) / len(kernels)

    @classmethod
    def at_median(
        cls, x: NDArray[np.float64] | torch.Tensor, factors: Sequence[float] = (0.25, 0.5, 1, 2, 4)
    ) -> GaussianMixture:
        """Widths at multiples of the median distance within `x`; fixed from then on, so no gradient runs through them.

        Raises:
            ValueError: more than half of the points are equal, or there is only one.
        """
        median = median_distance(x)
        if not median > 0:
            raise ValueError(f"the median distance of {len(x)} points is {median}: no kernel width follows from it")
        return cls(tuple(factor * median for factor in factors))


def median_distance(x: NDArray[np.float64] | torch.Tensor, *, limit: int = 2000) -> float:
    """The median distance between different rows of `x`, at most `limit` of them, evenly spaced; NaN for one row."""
    points = np.asarray(x if isinstance(x, np.ndarray) else x.detach().cpu(), dtype=np.float64)
    if len(points) > limit:
        points = points[np.linspace(0, len(points) - 1, limit).astype(int)]
    if len(points) < 2:
        return float("nan")
    rows, columns = np.triu_indices(len(points), k=1)
    return float(np.median(np.sqrt(squared_distances(points, points)[rows, columns].clip(0))))


def biased_mmd(x: A, y: A, kernel: Kernel = cubic_kernel) -> Any:
    """The V-statistic: all pairs, a point with itself included. Never negative, so the one to train with.

    Its bias is (1 - mean k) (1/N + 1/M) for kernels with k(x, x) = 1.
    """
    return _mean(x, x, kernel) + _mean(y, y, kernel) - 2 * _mean(x, y, kernel)


def unbiased_mmd(x: A, y: A, kernel: Kernel = cubic_kernel, *, users: tuple[Groups, Groups] | None = None) -> Any:
    """The U-statistic: no point is paired with itself. Its mean is the true value, so it may be negative.

    Images of one user are alike, so pairs within a user make both sets look tighter than the population they come from
    and the estimate too high (and, where both sets are of the same users, pairs across the sets make it too low). With
    `users`, the user of every row of `x` and of `y`, no pair of the same user enters at all.

    Raises:
        ValueError: no pair is left: one row, or with `users` one user.
    """
    if users is None:
        # Every row is its own user, and none of them is in both sets.
        own_x, own_y = np.arange(len(x)), np.arange(len(x), len(x) + len(y))
    else:
        own_x, own_y = _codes(x, y, users)
    within = _mean(x, x, kernel, (own_x, own_x)) + _mean(y, y, kernel, (own_y, own_y))
    return within - 2 * _mean(x, y, kernel, (own_x, own_y) if np.isin(own_x, own_y).any() else None)


def _codes(x: A, y: A, users: tuple[Groups, Groups]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if (len(users[0]), len(users[1])) != (len(x), len(y)):
        raise ValueError(f"{len(users[0])} and {len(users[1])} users were given for {len(x)} and {len(y)} rows")
    codes = np.unique(np.concatenate([np.asarray(users[0]), np.asarray(users[1])]), return_inverse=True)[1]
    return codes[: len(x)], codes[len(x) :]


def _mean(x: A, y: A, kernel: Kernel, owners: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None) -> Any:
    """The mean kernel value over all pairs, or over those of different owners, in blocks of rows."""
    total, pairs = 0.0, 0
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        values = kernel(x[rows], y)
        if owners is not None:
            values = values[owners[0][rows, None] != owners[1][None]]
        total, pairs = total + values.sum(), pairs + int(np.prod(values.shape))
    if pairs == 0:
        raise ValueError("no pair of different users is left to compare")
    return total / pairs


def squared_distances(x: A, y: A) -> A:
    """Squared distances (N, M) between rows of (N, D) and (M, D); between equal ones 0 only up to rounding."""
    # The expanded form has a finite gradient where two points are equal; a distance has not.
    squared: A = (x * x).sum(1)[:, None] + (y * y).sum(1)[None, :] - 2 * x @ y.T
    return squared


def _exp(x: A) -> A:
    return np.exp(x) if isinstance(x, np.ndarray) else x.exp()

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
Codes = NDArray[np.int64]
"""(N, G): the group of each row in each of G groupings."""
_BLOCK = 256
"""Rows of a kernel matrix held at a time: 20 MB at 10,000 columns."""
_CANCELLED = 1e-6
"""A squared distance below this share of the squared norms has lost over half of its digits."""


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


def unbiased_mmd(x: A, y: A, kernel: Kernel = cubic_kernel, *, groupings: Sequence[tuple[Groups, Groups]] = ()) -> Any:
    """The U-statistic: no point is paired with itself. Its mean is the true value, so it may be negative.

    Images of one user are alike, and so are images of one prompt: pairs of them make both sets look tighter than the
    populations of users and prompts that they come from, and the estimate too high (and, where both sets share users or
    prompts, pairs across the sets make it too low). With `groupings`, such as the users of all rows of `x` and of `y`
    and then their prompts, no pair enters that shares a group of any; rows whose group is empty share it with none.

    Raises:
        ValueError: no pair is left: one row, or with `groupings` one group.
    """
    if groupings:
        own_x, own_y = group_codes(*groupings)
        if (len(own_x), len(own_y)) != (len(x), len(y)):
            raise ValueError(f"{len(own_x)} and {len(own_y)} groups given for {len(x)} and {len(y)} rows")
    else:  # every row is its own group, and none of them is in both sets
        own_x, own_y = np.split(np.arange(len(x) + len(y))[:, None], [len(x)])
    within = _mean(x, x, kernel, (own_x, own_x)) + _mean(y, y, kernel, (own_y, own_y))
    return within - 2 * _mean(x, y, kernel, (own_x, own_y) if groupings else None)


def group_codes(*groupings: tuple[Groups, Groups]) -> tuple[Codes, Codes]:
    """Numbers (N, G) and (M, G) for the groups of the rows of two sets in G groupings, equal where groups are."""
    columns = []
    for first, second in groupings:
        names, codes = np.unique(np.concatenate([np.asarray(first), np.asarray(second)]), return_inverse=True)
        alone = names[codes] == ""
        codes[alone] = len(names) + np.arange(alone.sum())
        columns.append(codes)
    table = np.stack(columns, axis=1)
    return table[: len(groupings[0][0])], table[len(groupings[0][0]) :]


def apart(x: Codes, y: Codes) -> NDArray[np.bool_]:
    """Whether each pair of rows (N, G) and (M, G) shares no group, (N, M)."""
    unlike: NDArray[np.bool_] = np.logical_and.reduce([a[:, None] != b for a, b in zip(x.T, y.T, strict=True)])
    return unlike


def _mean(x: A, y: A, kernel: Kernel, codes: tuple[Codes, Codes] | None = None) -> Any:
    """The mean kernel value over all pairs, or over those that share no group, in blocks of rows."""
    total, pairs = 0.0, 0
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        values = kernel(x[rows], y)
        if codes is not None:
            values = values[apart(codes[0][rows], codes[1])]
        total, pairs = total + values.sum(), pairs + int(np.prod(values.shape))
    if pairs == 0:
        raise ValueError("no pair of different groups is left to compare")
    return total / pairs


def squared_distances(x: A, y: A) -> A:
    """Squared distances (N, M) between rows of (N, D) and (M, D).

    Of arrays right to 1e-9 wherever the rows lie: |x - y|^2 = |x|^2 + |y|^2 - 2 x.y is taken about the mean of `y`, and
    what still cancels in it is computed anew by differences. Of tensors (losses) as it stands, so between equal rows 0
    only up to rounding: this form has a finite gradient where two points are equal, a distance has not.
    """
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return _centred_distances(x, y)
    squared: A = (x * x).sum(1)[:, None] + (y * y).sum(1)[None, :] - 2 * x @ y.T
    return squared


def _centred_distances(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(x) or not len(y):
        return np.zeros((len(x), len(y)))
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    sizes = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)
    squared: NDArray[np.float64] = sizes - 2 * x @ y.T
    rows, columns = np.nonzero(squared <= _CANCELLED * sizes)
    for start in range(0, len(rows), _BLOCK):
        near = rows[start : start + _BLOCK], columns[start : start + _BLOCK]
        squared[near] = ((x[near[0]] - y[near[1]]) ** 2).sum(axis=1)
    return squared


def _exp(x: A) -> A:
    return np.exp(x) if isinstance(x, np.ndarray) else x.exp()

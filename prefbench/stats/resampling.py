"""Crossed resampling of users and prompts, on a table of sums: what the intervals of `stats` are made of.

Methods: Owen, "The pigeonhole bootstrap", 2007 (arXiv 0712.1111). The tails are widened for few users or few prompts
after Hesterberg, "What teachers should know about the bootstrap", 2015 (arXiv 1411.5279, expanded percentile interval).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from prefbench.api import Estimate

Floats = NDArray[np.float64]
Names = NDArray[np.str_]
_LEVEL = 0.95
CHUNK = 256
"""Replicates at a time: at 10,000 users their multiplicities take 20 MB."""
_KEPT = 4_000_000
"""Multiplicities that are kept at most for the next table of the same shape: 32 MB."""


@dataclass(frozen=True)
class Table:
    """Weighted sums and weights of users x prompts, for K quantities on the same rows: all a replicate needs.

    Column 0 holds the prompts that only one user has; it is drawn as often as the user.
    """

    sums: Floats
    """(K, users, 1 + shared prompts)"""
    weights: Floats
    """(users, 1 + shared prompts)"""
    users: Names
    """(users,)"""
    shared: Names
    """(shared prompts,)"""
    n_pairs: int
    """How many pairs of a user and a prompt there are; a user's rows without a prompt are one."""
    n_prompts: int
    n_samples: int
    missing: int

    @classmethod
    def of(cls, users: Names, prompts: Names, columns: Sequence[Floats]) -> Table:
        """The table of K columns of values (N,) with the users and prompts (N,) of their rows.

        A row with a NaN in any column is missing in all. An empty prompt is none: what a user has by themselves.
        """
        values = np.stack(columns)
        kept = ~np.isnan(values).any(axis=0)
        user_names, user = np.unique(users[kept], return_inverse=True)
        prompt_names, prompt = np.unique(prompts[kept], return_inverse=True)
        columns_of, shared = _shared_columns(user, prompt, prompt_names)
        shape = (len(user_names), 1 + int(shared.sum()))
        cell = user * shape[1] + columns_of[prompt]

        def total(weight: Floats) -> Floats:
            return _sums(cell, weight, shape[0] * shape[1]).reshape(shape)

        weight: Floats = 1 / np.bincount(user)[user]
        sums = np.stack([total(weight * v) for v in values[:, kept]])
        pairs = len(np.unique(user * len(prompt_names) + prompt))
        counts = (pairs, int((prompt_names != "").sum()), int(kept.sum()), int((~kept).sum()))
        return cls(sums, total(weight), user_names, prompt_names[shared], *counts)

    def means(self) -> Floats:
        """The K means over users of the user's mean; NaN where there is no sample."""
        if not self.n_samples:
            return np.full(len(self.sums), np.nan)
        means: Floats = self.sums.sum(axis=(1, 2)) / self.weights.sum()
        return means

    def replicate(self, replicates: int, seed: int) -> Floats:
        """The K means in each bootstrap replicate, (replicates, K); replicates without any sample are left out.

        None for fewer than two users.
        """
        return np.concatenate([np.empty((0, len(self.sums))), *self._chunks(replicates, seed)])

    def _chunks(self, replicates: int, seed: int) -> Iterator[Floats]:
        n_users, n_columns = self.weights.shape
        for users, prompts in _resamples(replicates, seed, n_users, n_columns):
            total = np.einsum("rc,rc->r", users @ self.weights, prompts)
            sums = np.stack([np.einsum("rc,rc->r", users @ table, prompts) for table in self.sums], axis=1)
            kept = total > 0
            yield sums[kept] / total[kept, None]

    def estimate(self, value: float | None, drawn: Floats, errors: Floats, level: float) -> Estimate:
        """The value with the percentile interval of its replicates, and what both stand on.

        `errors` (users, 1 + shared prompts) is each cell's pull on the value, in any unit.
        """
        tail = _tail(errors, level)
        low, high = np.quantile(drawn, [tail, 1 - tail]).tolist() if len(drawn) else (None, None)
        n_users = len(self.weights) if self.n_samples else 0
        shown = value if self.n_samples else None
        return Estimate(shown, low, high, n_users, self.n_prompts, self.n_samples, self.missing)

    def p_value(self) -> float | None:
        """Two-sided p value of a zero mean of the first quantity, by `student`; None for fewer than two users."""
        if len(self.weights) < 2:
            return None
        return float(student(self.means()[0], *self.parts()))

    def parts(self, k: int = 0) -> tuple[Part, Part, Part]:
        """What users, shared prompts and their cells add to the error of the mean of quantity k."""
        errors = self.errors(k) / self.weights.sum()
        by_user, by_prompt, cells = errors.sum(axis=1), errors[:, 1:].sum(axis=0), errors[:, 1:]
        users, prompts = (Part(one @ one, len(one)) for one in (by_user, by_prompt))
        return users, prompts, Part((cells**2).sum(), int((self.weights[:, 1:] > 0).sum()))

    def errors(self, k: int = 0) -> Floats:
        """How far each cell pulls the mean of quantity k, times all weights, (users, 1 + shared prompts)."""
        pulls: Floats = self.sums[k] - self.means()[k] * self.weights
        return pulls


class Part(NamedTuple):
    """Of a mean's error what one grouping adds: the sum of its groups' squared errors, and how many groups it has."""

    squares: Floats
    groups: Floats | int

    @property
    def variance(self) -> Floats:
        """Without the bias of errors about the mean that they themselves give; 0 for fewer than two groups."""
        n = np.asarray(self.groups, dtype=np.float64)
        return np.where(n > 1, self.squares * n / np.maximum(n - 1, 1), 0.0)


class Spread(NamedTuple):
    """The variance of a mean and the degrees of freedom that it is known with."""

    variance: Floats
    freedom: Floats


def spread(users: Part, prompts: Part, cells: Part) -> Spread:
    """The variance of a mean over users and prompts that are both drawn from larger populations.

    It is what users differ by, and what shared prompts differ by beyond what is left in the cells of users and
    prompts: V_users + max(0, V_prompts - V_cells), inclusion and exclusion after Cameron, Gelbach & Miller (2011,
    J. Bus. Econ. Stat. 29:238, equation 2.11), with the degrees of freedom of that sum (Satterthwaite 1946,
    Biometrics 2:110); these are NaN where nothing differs. The crossed bootstrap counts what is left in the cells
    three times (Owen 2007, arXiv 0712.1111).
    """
    between, excess = users.variance, np.maximum(prompts.variance - cells.variance, 0)
    variance = between + excess
    few_users, few_prompts = (np.maximum(np.asarray(part.groups) - 1, 1) for part in (users, prompts))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Spread(variance, variance**2 / (between**2 / few_users + excess**2 / few_prompts))


def student(mean: Floats, users: Part, prompts: Part, cells: Part) -> Floats:
    """Two-sided p value of a zero mean, by Student's t on its `spread`.

    By the crossed bootstrap instead, of two methods that are the same fewer than one in a hundred is called different.
    """
    variance, freedom = spread(users, prompts, cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * stdtr(freedom, -np.abs(mean) / np.sqrt(variance))
    return np.where(variance > 0, found, np.where(mean == 0, 1.0, 0.0))


def _shared_columns(
    user: NDArray[np.int64], prompt: NDArray[np.int64], prompts: Names
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The table's column of every prompt, and which prompts are shared: 0 for those of one user, then the shared."""
    first = np.full(len(prompts), -1)
    first[prompt] = user
    shared = np.zeros(len(prompts), dtype=bool)
    shared[prompt[first[prompt] != user]] = True
    shared &= prompts != ""
    return np.where(shared, np.cumsum(shared), 0), shared


def _sums(group: NDArray[np.int64], values: Floats, groups: int) -> Floats:
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64)


def _tail(errors: Floats, level: float) -> float:
    """The quantile at which a percentile interval ends so that it is as wide as one of Student's t.

    Degrees of freedom after Satterthwaite, from what users and what shared prompts add to the variance.
    """
    factors = [sums for sums in (errors.sum(axis=1), errors[:, 1:].sum(axis=0)) if len(sums) > 1]
    variances = np.array([sums @ sums for sums in factors])
    if not variances.sum() > 0:
        return (1 - level) / 2
    df = variances.sum() ** 2 / sum(v**2 / (len(s) - 1) for v, s in zip(variances, factors, strict=True))
    return float(ndtr(stdtrit(df, (1 - level) / 2) * np.sqrt((df + 1) / df)))


def _resamples(replicates: int, seed: int, users: int, columns: int) -> Iterable[tuple[Floats, Floats]]:
    """How often each user (size, users) and each column (size, columns) is drawn, `CHUNK` replicates at a time.

    All metrics of a comparison are resampled alike, so small ones are drawn once.
    """
    if users < 2:
        return ()
    small = replicates * (users + columns) <= _KEPT
    return _kept_resamples(replicates, seed, users, columns) if small else _draw(replicates, seed, users, columns)


@lru_cache(maxsize=4)
def _kept_resamples(replicates: int, seed: int, users: int, columns: int) -> list[tuple[Floats, Floats]]:
    return list(_draw(replicates, seed, users, columns))


def _draw(replicates: int, seed: int, users: int, columns: int) -> Iterator[tuple[Floats, Floats]]:
    streams = np.random.default_rng(seed).spawn(2)
    for start in range(0, replicates, CHUNK):
        size = min(CHUNK, replicates - start)
        drawn = _multiplicities(streams[0], size, users)
        yield drawn, np.hstack([np.ones((size, 1)), _multiplicities(streams[1], size, columns - 1)])


def _multiplicities(rng: np.random.Generator, size: int, n: int) -> Floats:
    """How often each of n things is drawn in n draws with replacement, (size, n)."""
    if n == 0:
        return np.empty((size, 0))
    drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)

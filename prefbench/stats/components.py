"""What a pilot says of variances: those of users, prompts, users with prompts, and samples, and its design."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray, Scores
from prefbench.stats.scores import TIE, scale_of


@dataclass(frozen=True)
class Components:
    """Variances of a score. Confounded components are reported as the first, the others as 0.

    Without repeated samples `cell` holds the variance of samples too; without shared prompts `cell` holds that of
    prompts.
    """

    user: float
    prompt: float
    cell: float
    """User x prompt: what a user finds in one prompt beyond both."""
    sample: float

    @property
    def total(self) -> float:
        """The variance of one score."""
        return self.user + self.prompt + self.cell + self.sample


@dataclass(frozen=True)
class Design:
    """A study: users, prompts per user, samples per prompt; `pool` is how many prompts users share, 0 for none."""

    users: int
    prompts: float
    samples: float
    pool: int

    def of(self, *, prompts: int | None = None, samples: int | None = None) -> Design:
        """The same design with other prompts per user, other samples per prompt.

        Where every user has every prompt it stays so; else users share a pool as large as before, or as is needed.
        """
        pool = self.pool
        if prompts is not None and pool:
            pool = prompts if self.prompts >= pool else max(pool, prompts)
        return replace(self, prompts=prompts or self.prompts, samples=samples or self.samples, pool=pool)


def components(scores: Scores) -> Components:
    """Variance components of scores by Henderson's first method (1953, Biometrics 9:226).

    Each grouping's sum of squares, sum_g n_g mean_g^2, is in expectation a known mixture of the variances, for any
    pattern of missing cells; the components solve those linear equations. One that comes out negative, or no
    more than what tied values differ by, is 0.

    Raises:
        ValueError: fewer than two users.
    """
    present = ~np.isnan(scores.values)
    values = scores.values[present]
    user, prompt = (np.unique(names[present], return_inverse=True)[1] for names in (scores.users, scores.prompts))
    if user.max(initial=0) < 1:
        raise ValueError("variance between users takes at least two users with scores")
    cell = np.unique(user * (prompt.max() + 1) + prompt, return_inverse=True)[1]
    groups = {"user": user}
    if design_of(scores).pool:
        groups["prompt"] = prompt
    if cell.max() > user.max():
        groups["cell"] = cell
    if len(values) > cell.max() + 1:
        groups["sample"] = np.arange(len(values))
    # Each sum of squares within a grouping, and the plain one, is a known mixture of the variances.
    squares = [_squares(group, values - values.mean()) for group in groups.values()]
    whole = np.zeros(len(values), dtype=np.int64)
    mixtures = [[_share(top, below) - _share(whole, below) for below in groups.values()] for top in groups.values()]
    rounding = (TIE * scale_of(scores)) ** 2
    solved = np.linalg.solve(mixtures, squares)
    solution = dict(zip(groups, np.where(solved > rounding, solved, 0.0).tolist(), strict=True))
    return Components(**{name: solution.get(name, 0.0) for name in ("user", "prompt", "cell", "sample")})


def design_of(scores: Scores) -> Design:
    """The design of scores: means over users of prompts, over users' prompts of samples; shared prompts."""
    present = ~np.isnan(scores.values)
    pairs = np.unique(np.stack([scores.users[present], scores.prompts[present]]), axis=1)
    users = len(np.unique(pairs[0]))
    shared = int((np.unique(pairs[1], return_counts=True)[1] > 1).sum())
    cells = pairs.shape[1]
    return Design(users, cells / max(users, 1), present.sum() / max(cells, 1), shared if shared > 1 else 0)


def drawn_anew(scores: Scores, variances: Components, rng: np.random.Generator) -> Scores:
    """Normal scores with these variances for the same users, prompts and samples; rows without a value fall away.

    Sampling the pilot's own users and prompts with replacement would show each twice and take that for variance.
    """
    present = scores.select(np.flatnonzero(~np.isnan(scores.values)))
    user, prompt = (np.unique(names, return_inverse=True)[1] for names in (present.users, present.prompts))
    cell = np.unique(user * (prompt.max() + 1) + prompt, return_inverse=True)[1]
    values = np.sqrt(variances.sample) * rng.standard_normal(len(user))
    for group, variance in ((user, variances.user), (prompt, variances.prompt), (cell, variances.cell)):
        values += np.sqrt(variance) * rng.standard_normal(group.max() + 1)[group]
    return Scores(values, present.users, present.prompts)


def _squares(group: NDArray[np.int64], values: FloatArray) -> float:
    """The uncorrected ANOVA sum of squares between groups, sum_g n_g mean_g^2."""
    counts = np.bincount(group)
    return float((np.bincount(group, weights=values) ** 2 / counts).sum())


def _share(top: NDArray[np.int64], below: NDArray[np.int64]) -> float:
    """The coefficient of the variance of `below` in the expected ANOVA sum of squares of `top`: sum_tb n_tb^2 / n_t."""
    joint, counts = np.unique(np.stack([top, below]), axis=1, return_counts=True)
    return float((np.bincount(joint[0], weights=counts.astype(float) ** 2) / np.bincount(top)).sum())

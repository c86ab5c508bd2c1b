"""Power from a pilot: variance components of users, prompts and samples, users needed, smallest effects shown.

A score is mean + user + prompt + (user x prompt) + sample, all independent. What is planned for is the test that
`stats.paired_difference` makes: Student's t over users and over what shared prompts add.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import nct, norm
from scipy.stats import t as student

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.stats import LEVEL

POWER, ALPHA = 0.8, 0.05
_MOST_USERS = 10_000_000


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
    pattern of missing cells; the components solve those linear equations. One that comes out negative is 0.

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
    solution = dict(zip(groups, np.linalg.solve(mixtures, squares).clip(0).tolist(), strict=True))
    return Components(**{name: solution.get(name, 0.0) for name in ("user", "prompt", "cell", "sample")})


def design_of(scores: Scores) -> Design:
    """The design of scores: means over users of prompts, over users' prompts of samples; shared prompts."""
    present = ~np.isnan(scores.values)
    pairs = np.unique(np.stack([scores.users[present], scores.prompts[present]]), axis=1)
    users = len(np.unique(pairs[0]))
    shared = int((np.unique(pairs[1], return_counts=True)[1] > 1).sum())
    cells = pairs.shape[1]
    return Design(users, cells / max(users, 1), present.sum() / max(cells, 1), shared if shared > 1 else 0)


def shown_by_scorer(effect: float, accuracy: float) -> float:
    """The effect that a scorer shows which orders a pair rightly with probability `accuracy`: (2 accuracy - 1) of it.

    Raises:
        ValueError: an accuracy of one half or less shows nothing.

    Example:
        >>> shown_by_scorer(0.5, 0.75)
        0.25
    """
    if not 0.5 < accuracy <= 1:
        raise ValueError(f"the accuracy of a scorer lies above 0.5 and is at most 1, got {accuracy:g}")
    return effect * (2 * accuracy - 1)


def achieved(effect: float, variances: Components, design: Design, *, alpha: float = ALPHA) -> float:
    """The power of the two-sided test for a mean of `effect`.

    With no shared prompts this is the power of Student's t over users, n - 1 degrees of freedom.
    """
    error, df = _errors(variances, design)
    if not error > 0:
        return 1.0 if effect else alpha
    bound = float(student.ppf(1 - alpha / 2, df))
    shift = effect / error
    power = nct.sf(bound, df, shift) + nct.cdf(-bound, df, shift)
    # Far out SciPy's noncentral t is not finite; there the answer is certain.
    return float(power) if np.isfinite(power) else float(norm.sf(bound - abs(shift)))


def smallest_effect(variances: Components, design: Design, *, power: float = POWER, alpha: float = ALPHA) -> float:
    """The smallest mean that the design shows with this power; 0 where nothing varies."""
    error, df = _errors(variances, design)
    if not error > 0:
        return 0.0
    far = (float(student.ppf(1 - alpha / 2, df)) + 10) * error
    root = brentq(lambda effect: achieved(effect, variances, design, alpha=alpha) - power, 0, far, xtol=1e-9 * far)
    return float(root)


def users_needed(
    effect: float, variances: Components, design: Design, *, power: float = POWER, alpha: float = ALPHA
) -> int | None:
    """How many users the design needs, its own number aside, to show a mean of `effect`; None where none suffice.

    More users do not help where the shared prompts alone leave too much to chance.
    """

    def enough(users: int) -> bool:
        return achieved(effect, variances, replace(design, users=users), alpha=alpha) >= power

    if not enough(_MOST_USERS):
        return None
    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def smallest_shown(difference: Estimate, *, power: float = POWER, level: float = LEVEL) -> float | None:
    """The smallest difference that an interval of this width leaves zero out of with this power.

    Half the width is what a difference must exceed; its own error, at most that half over the quantile of the
    level, adds what the power asks. None without an interval.
    """
    if difference.low is None or difference.high is None:
        return None
    half = (difference.high - difference.low) / 2
    return half * float(1 + norm.ppf(power) / norm.ppf((1 + level) / 2))


def _errors(variances: Components, design: Design) -> tuple[float, float]:
    """The standard error of the mean, and the degrees of freedom (Satterthwaite) that the test gives it."""
    rest = (variances.cell + variances.sample / design.samples) / (design.users * design.prompts)
    by_user = variances.user / design.users + rest
    if design.pool < 2:
        by_user += variances.prompt / (design.users * design.prompts)
        return np.sqrt(by_user), design.users - 1
    excess = variances.prompt / design.pool
    squares = by_user**2 / (design.users - 1) + excess**2 / (design.pool - 1)
    df = (by_user + excess) ** 2 / squares if squares > 0 else design.users - 1
    return np.sqrt(by_user + excess), df


def _squares(group: NDArray[np.int64], values: FloatArray) -> float:
    """The uncorrected ANOVA sum of squares between groups, sum_g n_g mean_g^2."""
    counts = np.bincount(group)
    return float((np.bincount(group, weights=values) ** 2 / counts).sum())


def _share(top: NDArray[np.int64], below: NDArray[np.int64]) -> float:
    """The coefficient of the variance of `below` in the expected ANOVA sum of squares of `top`: sum_tb n_tb^2 / n_t."""
    joint, counts = np.unique(np.stack([top, below]), axis=1, return_counts=True)
    return float((np.bincount(joint[0], weights=counts.astype(float) ** 2) / np.bincount(top)).sum())

"""What a paired difference is made of: its size beside what users differ by, and what one user or prompt does to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefbench.api import Scores
from prefbench.stats.resampling import Floats, Part, Table, student
from prefbench.stats.scores import aligned, user_means
from prefbench.stats.tests import flips, share_of_flips

_NOTHING = 1e-9
"""Weight below which a user has nothing left, but for rounding."""
_FEWEST = 3
"""Users or shared prompts below which leaving one out leaves nothing to compare."""


@dataclass(frozen=True)
class Effect:
    """The size of a paired difference in units of users.

    `dz` is the mean of users' mean differences over their standard deviation (Cohen's d for paired data), None where
    users do not differ. `wins` is the share of users whose mean is higher, ties counted half: the probability of
    superiority; None without users.
    """

    dz: float | None
    wins: float | None


@dataclass(frozen=True)
class Without:
    """A paired difference with one user, or one shared prompt, left out at a time."""

    users: tuple[str, ...]
    prompts: tuple[str, ...]
    values: Floats
    """(users + prompts,) the difference without each."""
    p_values: Floats
    """(users + prompts,)"""

    @property
    def names(self) -> list[str]:
        """What is left out, in words: `user ann`, `prompt a cat`."""
        return [*(f"user {name}" for name in self.users), *(f"prompt {name}" for name in self.prompts)]


def effect(a: Scores, b: Scores) -> Effect:
    """The size of `a` minus `b` on the same keys.

    Example:
        >>> users = np.array(["ann", "bob", "cyd"])
        >>> scores = [Scores(np.array(v), users, users) for v in ([3.0, 2.0, 1.0], [1.0, 2.0, 0.0])]
        >>> effect(*scores)
        Effect(dz=1.0, wins=0.8333333333333334)
    """
    a, b = aligned([a, b])
    means = user_means(Scores(a.values - b.values, a.users, a.prompts))
    if not len(means):
        return Effect(None, None)
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    dz = float(means.mean()) / spread if spread > 0 else None
    return Effect(dz, float((1 + np.sign(means)).mean() / 2))


def leave_one_out(a: Scores, b: Scores, *, replicates: int = 10_000, seed: int = 0) -> Without:
    """`a` minus `b` and its p value, as `paired_difference` gives them, without each user and each shared prompt.

    A prompt that only one user has falls with the user, and is not left out alone. Without a prompt users keep the
    weight of the samples that they have left. Nothing is left out of fewer than three users, or three prompts.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    a, b = aligned([a, b])
    table = Table.of(a.users, a.prompts, [a.values - b.values])
    if len(table.users) < _FEWEST:
        return Without((), (), np.empty(0), np.empty(0))
    sums, weights = table.sums[0], table.weights
    with np.errstate(invalid="ignore"):  # without the only shared prompt nothing may be left
        values = (sums.sum() - _totals(sums)) / (weights.sum() - _totals(weights))
    p_values = np.maximum(_tested(table, values), _flipped(table, replicates, seed))
    prompts = table.shared if len(table.shared) >= _FEWEST else table.shared[:0]
    kept = slice(len(table.users) + len(prompts))
    return Without(tuple(table.users.tolist()), tuple(prompts.tolist()), values[kept], p_values[kept])


def _totals(cells: Floats) -> Floats:
    """What each user, then each shared prompt, adds to a table (users, 1 + shared prompts)."""
    return np.concatenate([cells.sum(axis=1), cells[:, 1:].sum(axis=0)])


def _tested(table: Table, values: Floats) -> Floats:
    """The p values of `Table.p_value` without each, whose means are `values`."""
    users, prompts = np.split(values, [len(table.users)])
    return np.concatenate([_without_users(table, users), _without_prompts(table, prompts)])


def _without_users(table: Table, means: Floats) -> Floats:
    sums, weights = table.sums[0], table.weights
    total = weights.sum() - weights.sum(axis=1)
    by_user = _rest(sums.sum(axis=1), weights.sum(axis=1), means)
    left = sums[:, 1:].sum(axis=0) - sums[:, 1:], weights[:, 1:].sum(axis=0) - weights[:, 1:]
    by_prompt = ((left[0] - means[:, None] * left[1]) ** 2).sum(axis=1)
    held = np.count_nonzero(weights[:, 1:], axis=1)
    cells = _rest_cells(sums[:, 1:], weights[:, 1:], means, axis=1)
    scale = total**2
    n = len(means)
    return student(
        means,
        Part(by_user / scale, n - 1),
        Part(by_prompt / scale, sums.shape[1] - 1),
        Part(cells / scale, held.sum() - held),
    )


def _without_prompts(table: Table, means: Floats) -> Floats:
    sums, weights = table.sums[0], table.weights
    total = weights.sum() - weights[:, 1:].sum(axis=0)
    left = sums.sum(axis=1, keepdims=True) - sums[:, 1:], weights.sum(axis=1, keepdims=True) - weights[:, 1:]
    by_user = ((left[0] - means * left[1]) ** 2).sum(axis=0)
    by_prompt = _rest(sums[:, 1:].sum(axis=0), weights[:, 1:].sum(axis=0), means)
    held = np.count_nonzero(weights[:, 1:], axis=0)
    cells = _rest_cells(sums[:, 1:], weights[:, 1:], means, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # without the only shared prompt nothing may be left
        scale = total**2
        return student(
            means,
            Part(by_user / scale, (left[1] > _NOTHING).sum(axis=0)),
            Part(by_prompt / scale, max(len(means) - 1, 0)),
            Part(cells / scale, held.sum() - held),
        )


def _rest(sums: Floats, weights: Floats, means: Floats) -> Floats:
    """Squared errors of all groups but one, about the mean without that one; for each of them."""
    own = (sums - means * weights) ** 2
    found: Floats = sums @ sums - 2 * means * (sums @ weights) + means**2 * (weights @ weights) - own
    return np.maximum(found, 0)


def _rest_cells(sums: Floats, weights: Floats, means: Floats, *, axis: int) -> Floats:
    """Squared errors of all cells but those of one user (axis 1) or prompt (axis 0), about the mean without it."""
    parts = [(a * b).sum(axis=axis) for a, b in ((sums, sums), (sums, weights), (weights, weights))]
    squares, crossed, weighed = (part.sum() - part for part in parts)
    found: Floats = squares - 2 * means * crossed + means**2 * weighed
    return np.maximum(found, 0)


def _flipped(table: Table, replicates: int, seed: int) -> Floats:
    """The p values of `sign_flip` without each."""
    sums, weights = table.sums[0], table.weights
    left, weight = sums.sum(axis=1, keepdims=True) - sums[:, 1:], weights.sum(axis=1, keepdims=True) - weights[:, 1:]
    means = sums.sum(axis=1) / weights.sum(axis=1)
    by_prompt = np.divide(left, weight, out=np.zeros_like(left), where=weight > _NOTHING)
    observed = np.concatenate([means.sum() - means, by_prompt.sum(axis=0)])
    bounds = np.abs(observed) - 1e-12 * np.abs(means).sum()
    hits = np.zeros(len(bounds), dtype=np.int64)
    for signs in flips(len(means), replicates=replicates, seed=seed):
        flipped = np.hstack([(signs @ means)[:, None] - signs * means, signs @ by_prompt])
        hits += (np.abs(flipped) >= bounds).sum(axis=0)
    return share_of_flips(hits, len(means), replicates)

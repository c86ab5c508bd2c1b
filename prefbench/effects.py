"""What a paired difference is made of: its size beside what users differ by, and what one user or prompt does to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefbench.resampling import Floats, Table, stretch
from prefbench.stats import Scores, aligned, flips, share_of_flips, user_means

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


def without_each(a: Scores, b: Scores, *, replicates: int = 10_000, seed: int = 0) -> Without:
    """`a` minus `b` and its p value, as `paired_difference` gives them, without each user and each shared prompt.

    The bootstrap is not repeated: replicates that happen to lack a user are replicates of the others (Efron 1992,
    "Jackknife-after-bootstrap"), about a third of all. So a p value close to a threshold may fall on either side of it.
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
    p_values = np.maximum(_resampled(table, values, replicates, seed), _flipped(table, replicates, seed))
    prompts = table.shared if len(table.shared) >= _FEWEST else table.shared[:0]
    kept = slice(len(table.users) + len(prompts))
    return Without(tuple(table.users.tolist()), tuple(prompts.tolist()), values[kept], p_values[kept])


def _totals(cells: Floats) -> Floats:
    """What each user, then each shared prompt, adds to a table (users, 1 + shared prompts)."""
    return np.concatenate([cells.sum(axis=1), cells[:, 1:].sum(axis=0)])


def _resampled(table: Table, values: Floats, replicates: int, seed: int) -> Floats:
    """How often replicates that lack a user or prompt stray from its value as far as that from zero."""
    wider = _wider(table.sums[0] - table.means()[0] * table.weights)
    hits, lacking = np.zeros(len(values)), np.zeros(len(values))
    for drawn in table.draws(replicates, seed):
        absent = np.hstack([drawn.users == 0, drawn.prompts == 0])
        hits += (absent & (np.abs(drawn.means - values) * wider >= np.abs(values))).sum(axis=0)
        lacking += absent.sum(axis=0)
    return (1 + hits) / (1 + lacking)


def _wider(errors: Floats) -> Floats:
    """The stretch of replicates without each: they draw n of n - 1, and so spread less than n - 1 of n - 1 would."""
    totals = _totals(errors)
    users, prompts = np.split(totals, [len(errors)])
    more = [np.full(len(part), part @ part / max(len(part) - 1, 1)) for part in (users, prompts)]
    spread = totals @ totals
    return stretch(errors) * np.sqrt(1 + np.concatenate(more) / (spread if spread > 0 else 1))


def _flipped(table: Table, replicates: int, seed: int) -> Floats:
    """The p values of `sign_flip` without each."""
    sums, weights = table.sums[0], table.weights
    left, weight = sums.sum(axis=1, keepdims=True) - sums[:, 1:], weights.sum(axis=1, keepdims=True) - weights[:, 1:]
    means = sums.sum(axis=1) / weights.sum(axis=1)
    by_prompt = np.divide(left, weight, out=np.zeros_like(left), where=weight > 1e-9)
    observed = np.concatenate([means.sum() - means, by_prompt.sum(axis=0)])
    bounds = np.abs(observed) - 1e-12 * np.abs(means).sum()
    hits = np.zeros(len(bounds), dtype=np.int64)
    for signs in flips(len(means), replicates=replicates, seed=seed):
        flipped = np.hstack([(signs @ means)[:, None] - signs * means, signs @ by_prompt])
        hits += (np.abs(flipped) >= bounds).sum(axis=0)
    return share_of_flips(hits, len(means), replicates)

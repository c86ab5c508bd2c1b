"""The bootstrap interval of a mean over users and prompts.

The user is the unit: every user counts equally, however many samples of theirs were scored. Users and prompts are both
drawn from larger populations, so the bootstrap resamples both: resampling items covers 42 % where it promises 95 %,
resampling users alone 54 %, when 200 users share 10 prompts (measured by simulation; `tests/stats/test_bootstrap.py`
has a small one).
"""

from __future__ import annotations

from dataclasses import replace

from prefbench.api import Estimate, Scores
from prefbench.stats import LEVEL, proportions
from prefbench.stats.proportions import Margins
from prefbench.stats.table import Table


def crossed_bootstrap(scores: Scores, *, replicates: int = 10_000, level: float = LEVEL, seed: int = 0) -> Estimate:
    """The mean over users of a user's mean value, with a percentile interval over resampled users and prompts.

    With unbalanced data a sample weighs 1 / (samples of its user), so a user with more samples counts no more than
    another. A replicate multiplies that weight by how often the user and the prompt were drawn (`Table.replicate`). A
    prompt that only one user has is part of that user and is drawn with them: with no shared prompt this is the
    bootstrap over users, and so it is with a single prompt, to which the result then applies. Of proportions, the
    interval reaches at least as far as `proportions.proportion`. No interval for fewer than two users.

    Example:
        >>> import numpy as np
        >>> users, prompts = np.repeat(["a", "b", "c"], 2), np.tile(["x", "y"], 3)
        >>> crossed_bootstrap(Scores(np.arange(6.0), users, prompts)).value
        2.5
    """
    table = Table.of(scores.users, scores.prompts, [scores.values])
    value, resampled = table.means()[0], table.replicate(replicates, seed)[:, 0]
    estimate = table.estimate(float(value), resampled, table.errors(), level)
    return widened(estimate, proportions.proportion(table, 0, scores.bounds, level))


def widened(estimate: Estimate, margins: Margins | None) -> Estimate:
    """Widens the interval to at least the given margins."""
    if estimate.value is None or estimate.low is None or estimate.high is None or margins is None:
        return estimate
    low, high = estimate.value - margins.below, estimate.value + margins.above
    return replace(estimate, low=min(estimate.low, low), high=max(estimate.high, high))

"""Which intervals hold less often than they promise, by what they stand on, and the line that says so under a table."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Estimate, SummaryRow

ENOUGH_USERS, ENOUGH_PROMPTS = 30, 20
"""Users and shared prompts from which intervals hold 93 to 96 % of lognormal effects, and tests of equal methods reject
at most 7 %; of fewer intervals hold 81 to 96 %, and tests reject up to 18 %.

`benchmarks/rates.py` measures it. Such a sample often lacks the few users or prompts that make the mean what it is.
"""
_UNSEEN = 0.05
"""How probable a sample without any of the exceptions may be."""


def has_few_groups(row: SummaryRow | Estimate) -> bool:
    """Whether an interval stands on too few users or shared prompts to hold 92 % of skewed effects."""
    return row.low is not None and are_few(row.n_users, 0 if row.users_only else _shared(row))


def are_few(users: int, prompts: int) -> bool:
    """The same of counts; 0 prompts where they do not enter the interval."""
    return users < ENOUGH_USERS or 0 < prompts < ENOUGH_PROMPTS


def is_constant(row: SummaryRow | Estimate) -> bool:
    """Whether all values that an interval stands on are the same: only then it goes from its own value to one side."""
    if row.shared is not None or row.low is None or row.high is None:
        return row.alike
    return row.value in (row.low, row.high) and row.low < row.high


def few_groups_sentence() -> str:
    """What the mark of few groups means."""
    return (
        f"under {ENOUGH_USERS} users or {ENOUGH_PROMPTS} shared prompts: where few of them decide (skewed effects), "
        "intervals hold from 81 % on, not 95 %, and tests call up to 18 % of equal methods different, not 5 %."
    )


def constant_sentence(rows: Sequence[SummaryRow | Estimate]) -> str:
    """What the mark of equal values means: how many users and prompts of another kind such a sample may not show."""
    users, prompts = min(row.n_users for row in rows), min(map(_shared, rows))
    counted = ((users, "users"), (prompts, "prompts"))
    unseen = " and ".join(f"{100 * _unseen(n):.0f} % of {what} ({n} alike)" for n, what in counted if n)
    return (
        "no user and no prompt differs, so the interval knows of single exceptions at most: that up to "
        f"{unseen} differ as a whole may stay unseen."
    )


def _unseen(n: int) -> float:
    """The largest share of exceptions of which a sample of n shows none with probability 0.05: 1 - 0.05^(1/n)."""
    return float(1 - _UNSEEN ** (1 / n))


def _shared(row: SummaryRow | Estimate) -> int:
    """The number of shared prompts; of a row that does not tell, all prompts unless each belongs to one user."""
    if row.shared is not None:
        return row.shared
    return 0 if row.n_prompts == row.n_pairs else row.n_prompts

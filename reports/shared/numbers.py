"""An estimate as stored results hold it: plain data."""

from __future__ import annotations

from typing import TypedDict

from prefbench.api import Estimate, SummaryRow


class Numbers(TypedDict):
    """A value with its interval and what it stands on."""

    value: float | None
    low: float | None
    high: float | None
    n_users: int
    n_prompts: int
    n_samples: int
    missing: int


def numbers(row: SummaryRow | Estimate) -> Numbers:
    """The numbers of a summary row or an estimate."""
    return {
        "value": row.value,
        "low": row.low,
        "high": row.high,
        "n_users": row.n_users,
        "n_prompts": row.n_prompts,
        "n_samples": row.n_samples,
        "missing": row.missing,
    }

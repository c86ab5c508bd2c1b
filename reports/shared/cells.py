"""How tables write a number: decimals, interval, counts, marks, and the reason where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from prefbench.api import Estimate, SummaryRow, counted, fixed
from prefbench.stats.trust import has_few_groups, is_constant

from .frame import GAP

DASH = "—"
ARROWS = {"up": "↑", "down": "↓", "": ""}
"""Arrow of each direction; none where neither more nor less is better."""
WON = "†"
UNRANKED = "§"
FOREIGN = "¶"
FEW = "few"
N = "n users ×\nprompts ×\nsamples"
Counts = tuple[str, int]
"""What a number stands on: its counts, and how many rows are missing."""
USERS_ONLY = "°"
"""Beside a value whose interval is over users alone."""
FEW_GROUPS = "‡"
"""Beside a value whose interval stands on too few users or prompts for skewed effects."""
ALIKE = "="
"""Beside the mean of values that are all the same."""
MIXED = "⊕"
"""Beside a number that sets a run against one of another backbone."""
APART = "The second block holds controls, which are not ranked."


def metric_name(row: SummaryRow, *, won: bool = True) -> str:
    """The metric with its encoder and direction, `fid (mini-clip) ↓†`, the last mark where a control can win it."""
    return metric_heading(row.metric, row.direction, encoder(row)) + (WON if won and row.won_by else "")


def metric_heading(name: str, direction: str, encoder: str) -> str:
    """`fid (mini-clip) ↓`: numbers of different encoders do not compare, so every heading names the one it rests on."""
    return " ".join(filter(None, (name, f"({encoder})" if encoder else "", ARROWS[direction])))


def wrapped(heading: str, longest: int = 16) -> str:
    """A long heading with the name of the encoder, and the run that a win rate is over, on lines of their own."""
    return heading if len(heading) <= longest else heading.replace(" (", "\n(", 1).replace(" over ", "\nover ", 1)


class Measured(Protocol):
    """A number or column that may rest on an encoder."""

    @property
    def extractor(self) -> str:
        """Its name; empty without one."""

    @property
    def foreign(self) -> str:
        """Why it is not to be trusted with the pictures; empty where it is."""


def encoder(about: Measured) -> str:
    """The encoder of a row or column, marked where it knows pictures of another suite alone; empty without one."""
    return f"{about.extractor}{FOREIGN if about.foreign else ''}" if about.extractor else ""


def number(value: float, like: float | None = None) -> str:
    """A value with decimals by its size, or by the size of the value it stands beside."""
    size = abs(value if like is None else like)
    return fixed(value, 3 if size < 10 else 2 if size < 100 else 1)


def p_text(value: float | None) -> str:
    """A p value to three decimals."""
    if value is None:
        return f"p {DASH}"
    return "p < 0.001" if value < 0.001 else f"p {value:.3f}"


def interval(row: SummaryRow | Estimate) -> str:
    """`[low, high]`, or what stands in its place."""
    if row.value is None or row.low is None or row.high is None:
        return "[no interval]"
    return f"[{number(row.low, row.value)}, {number(row.high, row.value)}]"


def marked(row: SummaryRow | Estimate) -> str:
    """The value with the marks that limit it or its interval: there they widen no column, as the interval is longer."""
    unranked = isinstance(row, SummaryRow) and bool(row.unranked)
    of_interval = USERS_ONLY * row.users_only + FEW_GROUPS * has_few_groups(row) + ALIKE * is_constant(row)
    return f"{number(row.value or 0.0)}{UNRANKED * unranked}{of_interval}"


def counts(row: SummaryRow | Estimate) -> str:
    """The counts behind a number: `10 × 5 of 10 × 2 = 100` for ten users with five of ten prompts each, twice.

    Means of uneven counts do not multiply to the last digit: `10 × 4.9 of 10, 97`. Values of users are `10 users`.
    """
    if row.n_samples and not row.n_prompts:
        return counted(row.n_users, "user")
    if not row.n_pairs:
        return f"{row.n_users} × {row.n_prompts}, {row.n_samples}"
    per_user, each = row.n_pairs / row.n_users, row.n_samples / row.n_pairs
    prompts = f"{row.n_prompts}" if per_user == row.n_prompts else f"{per_user:.3g} of {row.n_prompts}"
    even = per_user.is_integer() and each.is_integer()
    return f"{row.n_users} × {prompts}{f' × {each:.0f} =' if even else ','} {row.n_samples}"


def absence(row: SummaryRow | Estimate | None) -> str:
    """Why there is no value."""
    if row is None:
        return f"{DASH} (not scored)"
    if row.n_samples:
        return (
            f"{DASH} (no gap to close)"
            if isinstance(row, SummaryRow) and row.metric.startswith(GAP)
            else f"{DASH} (undefined)"
        )
    return f"{DASH} ({row.missing} missing{f', {row.unpaired} unpaired' if row.unpaired else ''})"


def stacked(row: SummaryRow | Estimate | None, usual_counts: Counts | None = None) -> str:
    """Value, interval, and what it stands on unless that is `usual_counts` already."""
    if row is None or row.value is None:
        return absence(row)
    lines = [marked(row), interval(row)]
    if usual_counts is None or counts(row) != usual_counts[0]:
        lines.append(f"n {counts(row)}")
    if row.missing != (usual_counts[1] if usual_counts else 0):
        lines.append(f"{row.missing} missing")
    return "\n".join(lines)


def stacked_value(row: SummaryRow) -> str:
    """Value, marks and interval on one line."""
    return f"{marked(row)} {interval(row)}"


def usual(rows: Iterable[SummaryRow | Estimate]) -> Counts:
    """The most frequent counts and number of missing rows: shown once for a whole line."""
    commonest = Counter((counts(row), row.missing) for row in rows).most_common(1)
    return commonest[0][0] if commonest else ("0 × 0, 0", 0)


def stands_note(stands_on: Counts) -> list[str]:
    """What every cell of a table stands on that does not say so itself."""
    return [f"Cells stand on n {stands_on[0]} (users × prompts × samples), {stands_on[1]} missing, unless they say so."]

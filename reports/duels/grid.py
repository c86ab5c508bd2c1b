"""The table of duels."""

from __future__ import annotations

from prefbench.api import Grid

from ..shared.cells import APART, UNRANKED, interval, marked, p_text, stacked, stands_note, usual
from ..shared.notes import interval_notes
from .duels import Duel, MeasuredDuels


def duels_grid(duels: MeasuredDuels) -> Grid:
    """A row per run, controls below the rule."""
    stands_on = usual(row.win_rate for row in duels.rows)

    def row_of(row: Duel) -> tuple[str, ...]:
        rate = stacked(row.win_rate, stands_on).replace("\n", f"{UNRANKED * bool(row.unranked)}\n", 1)
        return (row.label, rate, p_text(row.p), f"{marked(row.ties)} {interval(row.ties)}")

    blocks = [[row for row in duels.rows if row.control == control] for control in (False, True)]
    sections = [[row_of(row) for row in block] for block in blocks if block]
    bias = duels.position_bias
    notes = [
        *stands_note(stands_on),
        f"win rate: share of samples whose picture {duels.judge} prefers to that of {duels.baseline} in both orders,"
        " ties half. ties: share where its answers in the two orders name different pictures, or neither.",
        f"position bias {marked(bias)} {interval(bias)}: P(the picture in the first place) - 0.5; a judge that always"
        " names one place has 0.5 or -0.5, and nothing but ties.",
        *([APART] if len(sections) > 1 else []),
        *interval_notes([*(row.win_rate for row in duels.rows), *(row.ties for row in duels.rows)]),
    ]
    reasons = dict.fromkeys(row.unranked for row in duels.rows if row.unranked)
    notes += [
        f"{UNRANKED} not ranked: {', '.join(row.label for row in duels.rows if row.unranked == reason)} ({reason})."
        for reason in reasons
    ]
    heading = f"win rate over {duels.baseline} [95 %]"
    return Grid(f"duels by {duels.judge}", ("method", heading, "p", "ties [95 %]"), sections, notes)

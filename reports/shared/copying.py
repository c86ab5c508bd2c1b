"""Which methods return what they were shown: a mark beside their names, whatever the size of the run."""

from __future__ import annotations

from collections.abc import Mapping

from prefbench.api import SummaryRow, fixed

from .frame import NEARER

COPYING = "⧉"
"""Beside a method whose pictures are copies, or nearly, of those that it was shown."""
_NEAR = 0.9
"""Share of unseen likes that are farther from what was shown than its pictures are, on average.

0.5 is a picture of the kind that the user likes. In picturebook's first world every honest method lies under 0.7 and
copies at 1. The interval of a small run is wide, and a mark asks somebody to look; so the value alone decides.
"""


def nearness(rows: Mapping[str, SummaryRow]) -> float | None:
    """How near a method's pictures lie to those that it was shown, where that is near enough for copies; else None."""
    row = rows.get(NEARER)
    return None if row is None or row.value is None or row.value < _NEAR else row.value


def copying_notes(near: Mapping[str, float | None]) -> list[str]:
    """What the mark means, of the methods that bear it, by how near they are."""
    each = {label: fixed(value, 2) for label, value in near.items() if value is not None}
    named = "; ".join(f"{label} {value}" for label, value in each.items())
    return [
        f"{COPYING} draws what was shown to it, or nearly: nearer to that "
        f"than this share of the user's unseen likes is ({NEARER}; 0.5 is a new picture of that kind): {named}."
    ] * bool(each)

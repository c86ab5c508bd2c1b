"""Which values of a table are set off: the best, and the second, where the difference to the next is significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from prefbench.api import SummaryRow

from .material import ALPHA, PairTests

SetOff = Literal["best", "second"]


def set_off(rows: Mapping[str, SummaryRow], metric: str, tests: PairTests) -> dict[str, SetOff]:
    """Labels that are set off in a metric, of methods that it may rank.

    The best one is where it differs from the second by the adjusted test; the second too, where it differs from the
    third. A second whose best is not set off is none, and what was not tested is not.
    """
    ranked = _ranked(rows)
    if len(ranked) < 2 or not _differ(metric, ranked[0], ranked[1], tests):
        return {}
    chosen: dict[str, SetOff] = {ranked[0]: "best"}
    if len(ranked) > 2 and _differ(metric, ranked[1], ranked[2], tests):
        chosen[ranked[1]] = "second"
    return chosen


def caption(metrics: Sequence[str], rows: Mapping[str, Mapping[str, SummaryRow]], tests: PairTests) -> str:
    """What is set off in a table and by which test, or why nothing is.

    Args:
        rows: of ranked methods, by metric and label.
    """
    is_set_off = any(set_off(rows[metric], metric, tests) for metric in metrics)
    compared = [metric for metric in metrics if len(_ranked(rows[metric])) > 1]
    tested = [metric for metric in compared if _tested(rows[metric], metric, tests)]
    if not compared:
        return "No value is set off: there are no two methods to rank."
    if not tested:
        return f"No value is set off: the best method was not tested against the next{_reason(tests)}."
    left = [metric for metric in compared if metric not in tested]
    untested = f" Best against next is not tested in {', '.join(left)}{_reason(tests)}." if left else ""
    by = f"paired test, adjusted p below {ALPHA:g}, {tests.family}"
    if not is_set_off:
        return f"No value is set off: no best method differs significantly from the next ({by}).{untested}"
    return (
        f"Bold: the best ranked method where it differs from the next ({by}); underlined: the second likewise, beside "
        f"a bold one.{untested}"
    )


def _ranked(rows: Mapping[str, SummaryRow]) -> list[str]:
    """Labels from the best to the worst; none for a metric without direction."""
    values = {label: row.value for label, row in rows.items() if not row.unranked and row.direction}
    known = {label: value for label, value in values.items() if value is not None}
    up = any(row.direction == "up" for row in rows.values())
    return sorted(known, key=lambda label: -known[label] if up else known[label])


def _differ(metric: str, one: str, other: str, tests: PairTests) -> bool:
    p = tests.of(metric, one, other)
    return p is not None and p < ALPHA


def _tested(rows: Mapping[str, SummaryRow], metric: str, tests: PairTests) -> bool:
    ranked = _ranked(rows)
    return tests.of(metric, ranked[0], ranked[1]) is not None


def _reason(tests: PairTests) -> str:
    return f" ({tests.source})" if tests.source else ""

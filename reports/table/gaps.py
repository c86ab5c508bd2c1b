"""The share of the way from the baseline to the ceiling that a run goes."""

from __future__ import annotations

from dataclasses import asdict

from prefbench.api import ALL, ScoredRun, SummaryRow
from prefbench.stats.joint import gap_closed

from ..shared.frame import GAP, UTILITY
from ..shared.paired import Columns, on_shared_keys


def gap_rows(run: ScoredRun, method: Columns, floor: Columns, ceiling: Columns) -> list[SummaryRow]:
    """The share of the way from `floor` to `ceiling` for utility and each of its groups of axes."""
    rows = []
    for name, column in method.items():
        if name.partition("/")[0] == UTILITY and name in floor and name in ceiling:
            three = on_shared_keys(column.scores, floor[name].scores, ceiling[name].scores)
            estimate = gap_closed(*three)
            rows.append(
                SummaryRow(
                    method=run.method,
                    control=run.control,
                    metric=GAP + name.removeprefix(UTILITY),
                    kind=ALL,
                    direction="up",
                    question=column.question,
                    won_by=column.won_by,
                    **asdict(estimate),
                )
            )
    return rows

"""The share of the way from the baseline, or from the crowd's taste, to the ceiling that a run goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from prefbench.api import ALL, ScoredRun, SummaryRow
from prefbench.stats.joint import gap_closed

from ..shared.frame import BASELINE, CEILING, CROWD, GAP, OVER_CROWD, UTILITY
from ..shared.paired import Columns, on_shared_keys


def gap_rows(run: ScoredRun, method: Columns, frame: Mapping[str, Columns]) -> list[SummaryRow]:
    """The shares of a run by its scores and those of the runs of the frame, by the names of their methods.

    From the baseline to the ceiling for utility and each of its groups of axes; from the crowd to the ceiling, which is
    the share of what is personal, for utility. Nothing where a run is missing.
    """
    floor, ceiling, crowd = (frame.get(name) for name in (BASELINE, CEILING, CROWD))
    rows = []
    if ceiling is not None and floor is not None:
        parts = [name for name in method if name.partition("/")[0] == UTILITY and name in floor and name in ceiling]
        rows += [_row(run, GAP + name.removeprefix(UTILITY), name, method, floor, ceiling) for name in parts]
    if ceiling is not None and crowd is not None and all(UTILITY in columns for columns in (method, crowd, ceiling)):
        rows.append(_row(run, OVER_CROWD, UTILITY, method, crowd, ceiling))
    return rows


def _row(run: ScoredRun, metric: str, name: str, method: Columns, floor: Columns, ceiling: Columns) -> SummaryRow:
    column = method[name]
    estimate = gap_closed(*on_shared_keys(column.scores, floor[name].scores, ceiling[name].scores))
    return SummaryRow(
        method=run.method,
        control=run.control,
        metric=metric,
        kind=ALL,
        direction="up",
        question=column.question,
        won_by=column.won_by,
        **asdict(estimate),
    )

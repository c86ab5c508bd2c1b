"""The comparison table of scored runs, with its page, figure and galleries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

from prefbench.api import Grid, Report, ReportCard, ReportContext, ScoredRun

from ..page.folder import Content, check_room, write_index
from ..shared.frame import BASELINE
from .beside import frame_beside
from .compare import Comparison, as_json, compare
from .grids import difference_grid, run_grid, runs_grid
from .headline import difference_headline, run_headline, runs_headline
from .histories import histories_of
from .page import write_page
from .together import together


class Table(Report[Comparison]):
    """Every metric of each run, its paired difference to a baseline, the share of the gap closed, and ranks.

    A single run is shown beside the baseline and the ceiling that its folder's neighbours hold, where there are any.

    Args:
        baseline: the method, or the label of the run, that differences are to.
        suite: where the suite is a file's class, `path/to/file.py:Class`.
        full: show every column on the terminal, as the page does, and not the headline metrics alone.
        page: write `index.html` too, with thumbnails of all pictures: of large pictures a second or so for every 25.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "table",
        "1",
        "runs side by side: metrics, differences to a baseline, ranks, cost, pictures",
        "runs",
        publisher="leaderboard",
    )

    def __init__(
        self, baseline: str = BASELINE, suite: str | None = None, full: bool = False, page: bool = True
    ) -> None:
        self._baseline, self._suite, self._full, self._page = baseline, suite, full, page

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Comparison:
        """The comparison of the runs that belong together. Raises `PrefbenchError` as `compare` does."""
        runs = together(runs)
        beside = frame_beside(runs[0]) if len(runs) == 1 else []
        comparison = compare(runs, beside=beside, baseline=self._baseline)
        histories = cache(partial(histories_of, runs, context.suite, self._suite))
        return replace(comparison, histories=histories, bar=context.bar)

    def as_json(self, result: Comparison) -> Sequence[Mapping[str, Any]]:
        """One mapping per row."""
        return as_json(result.rows)

    def tables(self, result: Comparison) -> Sequence[Grid]:
        """One run's metrics as rows; or several runs as rows, then their differences to the baseline."""
        if len(result.runs) == 1:
            label = next(iter(result.runs))
            return [run_grid(result, label) if self._full else run_headline(result, label)]
        of_runs, of_differences = (runs_grid, difference_grid) if self._full else (runs_headline, difference_headline)
        compared = any(row.difference for row in result.rows)
        return [of_runs(result), *([of_differences(result)] if compared else [])]

    def write(self, result: Comparison, folder: Path) -> Sequence[Path]:
        """Writes `report.md`, the galleries, the figure of several runs, `rows.csv`, `table.tex` and `index.html`."""
        if self._page:
            check_room(folder)
        files = write_page(result, folder)
        return [*files, write_index(Content.of(result), folder, bar=result.bar)] if self._page else files

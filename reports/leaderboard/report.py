"""The leaderboard of committed results, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from prefbench.api import Grid, Report, ReportCard, ReportContext, ScoredRun
from prefbench.files import write_atomic

from ..shared import published
from .entries import Entry, entries_of, load_entries, path_of, paths_in
from .page import grid, render
from .vouched import check_vouched


class Leaderboard(Report[Sequence[Entry]]):
    """Finished runs of all users of the split test, beside the frame. Its page shows every committed result."""

    card: ClassVar[ReportCard] = ReportCard(
        "leaderboard", "1", "committed results of whole runs, and the page made from them", "runs", "leaderboard"
    )

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Sequence[Entry]:  # noqa: ARG002
        """The entries. Raises `PrefbenchError` as `entries_of` does."""
        return entries_of(runs)

    def as_json(self, result: Sequence[Entry]) -> Sequence[Mapping[str, Any]]:
        """One mapping per entry."""
        return [dict(entry) for entry in result]

    def tables(self, result: Sequence[Entry]) -> Sequence[Grid]:
        """The runs as the page shows them."""
        return [grid(result)]

    def write(self, result: Sequence[Entry], folder: Path) -> Sequence[Path]:
        """Writes the entries' files."""
        paths = paths_in(folder, result)
        return [published.write_json(path, entry, sort_keys=True) for path, entry in zip(paths, result, strict=True)]

    def publish(self, result: Sequence[Entry], results: Path | None = None) -> Sequence[Path]:
        """Writes the entries' files below `results`, then `leaderboard.md` beside it.

        Raises `PrefbenchError` for a row without its run under another user's history, or without a passed audit.
        """
        check_vouched({path_of(entry).stem: entry["vouched"] for entry in result})
        results = results or published.results_folder()
        return [*self.write(result, results / self.card.published), *self.rebuild(results)]

    def stale(self, results: Path | None = None) -> Sequence[str]:
        """`leaderboard.md` where it is not what the committed entries say."""
        results = results or published.results_folder()
        return published.stale(self._page(results), self._text(results))

    def rebuild(self, results: Path | None = None) -> Sequence[Path]:
        """Writes `leaderboard.md`."""
        results = results or published.results_folder()
        page = self._page(results)
        write_atomic(page, self._text(results))
        return [page]

    def _page(self, results: Path) -> Path:
        return results.parent / "leaderboard.md"

    def _text(self, results: Path) -> str:
        return render(load_entries(results / self.card.published))

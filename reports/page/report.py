"""The page alone: for runs that are not scored yet too, and for `prefbench view`, which writes it again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from prefbench.api import Grid, History, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun

from ..shared.frame import BASELINE
from ..shared.labels import check_mix
from ..table.compare import compare
from ..table.histories import histories_of
from ..table.together import together
from .folder import Content, write_index
from .people import people_of
from .sheets import Sheets
from .unscored import UnscoredRun, is_scored


@dataclass(frozen=True)
class Shown:
    """What is shown, and what shows how far the writing is."""

    content: Content
    context: ReportContext


class Page(Report[Shown]):
    """`index.html`: runs side by side, users, single pictures, metrics, audits; to look at in a browser.

    Args:
        baseline: the method, or the label of the run, that differences are to.
        suite: where the suite is a file's class, `path/to/file.py:Class`.
        live: whether the page is served and asks whether there is something new; its pictures then lie in a folder
            beside those of all its versions.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "page", "1", "runs to look at in a browser: numbers, users, pictures side by side, audits", "runs"
    )

    def __init__(self, baseline: str = BASELINE, suite: str | None = None, live: bool = False) -> None:
        self._baseline, self._suite, self._live = baseline, suite, live
        self._sheets: Sheets | None = None

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Shown:
        """The runs that belong together, compared where all of them are scored. Raises as `compare` does."""
        runs = together(runs)
        history = self._history(runs, context)
        if all(map(is_scored, runs)):
            comparison = compare(runs, baseline=self._baseline)
            content = Content(comparison.runs, comparison, history)
        else:
            check_mix(runs)
            content = Content.unscored([UnscoredRun(run) for run in runs], history)
        return Shown(replace(content, live=self._live), context)

    def _history(self, runs: Sequence[ScoredRun], context: ReportContext) -> Callable[[str], History] | None:
        try:
            return histories_of(runs, context.suite, self._suite)
        except PrefbenchError as error:
            context.log(f"without likes and dislikes: {error}")
            return None

    def as_json(self, result: Shown) -> Mapping[str, Any]:
        """The runs that are shown, and the number of their pictures."""
        runs = result.content.runs
        return {"runs": list(runs), "samples": sum(len(run.samples) for run in runs.values())}

    def tables(self, result: Shown) -> Sequence[Grid]:  # noqa: ARG002
        """None: they stand on the page."""
        return []

    def write(self, result: Shown, folder: Path) -> Sequence[Path]:
        """Writes `index.html` and `page/` beside it."""
        if self._live and self._sheets is None:
            people = people_of(list(result.content.runs.values()), result.content.history)
            self._sheets = Sheets.of(result.content.wanted(people), folder.parent / "pictures")
        return [write_index(result.content, folder, bar=result.context.bar, sheets=self._sheets)]

"""The contract of a form: runs gathered once, then files in a new folder that is there whole or not at all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from prefbench.api import Grid, PrefbenchError, Report, ReportContext, ScoredRun

from .card import left_out
from .folder import new_folder
from .gather import gather
from .rows import Export, plain_row

PICTURES = 200
"""Pictures of a run that are handed over where nobody says how many."""


class Exporter(Report[Export]):
    """Scored runs in the form of another tool, in the folder `<card name>` below the one that is named.

    A form says in `fill` what it writes. Registered as a report, `prefbench report RUNS --format NAME` takes it.

    Args:
        pictures: pictures of each run that are handed over at most; what is left out is said.
    """

    needs: ClassVar[Sequence[str]] = ()
    """Packages that writing takes, beyond those of prefbench."""
    extra: ClassVar[str] = ""
    """The extra of prefbench that installs them."""

    def __init__(self, pictures: int = PICTURES) -> None:
        if pictures < 0:
            raise PrefbenchError(f"pictures must be 0 or more, got {pictures}")
        self._pictures = pictures

    @abstractmethod
    def fill(self, export: Export, folder: Path) -> Path:
        """Writes everything into an empty folder and returns the file to begin with."""

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Export:  # noqa: ARG002
        """The rows of the runs. Raises `PrefbenchError` for a run that was not scored and for a missing package."""
        for package in self.needs:
            if find_spec(package) is None:
                install = f"pip install 'prefbench[{self.extra}]'"
                raise PrefbenchError(f"report {self.card.name!r} needs the package {package}: {install}")
        return gather(runs, self._pictures)

    def as_json(self, result: Export) -> Mapping[str, Any]:
        """Per run its counts, and every number of its summary."""
        return {
            "runs": [
                {
                    "label": run.label,
                    "control": run.is_control,
                    "samples": run.drawn + run.failed,
                    "failed": run.failed,
                    "pictures": len(run.shown),
                    "pictures_left_out": run.left_out,
                    "worst": list(run.worst),
                }
                for run in result.runs
            ],
            "summary": [{"run": run.label, **plain_row(row)} for run in result.runs for row in run.summary],
        }

    def tables(self, result: Export) -> Sequence[Grid]:
        """What is handed over of each run."""
        columns = ("run", "samples", "failed", "numbers", "pictures", "left out")
        body = [
            (run.label, *map(str, (run.drawn + run.failed, run.failed, len(run.summary), len(run.shown), run.left_out)))
            for run in result.runs
        ]
        return [Grid(f"handed over as {self.card.name}", columns, [body], left_out(result))]

    def write(self, result: Export, folder: Path) -> Sequence[Path]:
        """Writes `<folder>/<card name>`; returns its files, the one to begin with first.

        Raises:
            PrefbenchError: the folder is there already and not empty, or a picture is missing or damaged.
        """
        final = folder / self.card.name
        with new_folder(final) as building:
            first = self.fill(result, building).relative_to(building)
        others = sorted(path for path in final.rglob("*") if path.is_file())
        return [final / first, *(path for path in others if path != final / first)]

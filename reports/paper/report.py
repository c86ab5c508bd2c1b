"""The report `paper`: LaTeX tables that fit a column or the text, figures in their printed size, numbers as macros."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from prefbench.api import Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun
from prefbench.api.near import unknown
from prefbench.registry import default

from ..shared.frame import BASELINE
from .cited import citations
from .figures import adherence_of
from .folder import Choices, Width, left_out, write_folder
from .from_runs import material_of_runs
from .material import Material
from .tables import tables_of

_SHOWN = {
    "main": "methods by metrics",
    "kinds": "the metric of ranks by kind of user",
    "differences": "differences to the baseline",
    "ablation": "one method with different parameters",
    "headline": "the metric of ranks with its intervals",
    "tradeoff": "preference against adherence",
    "history": "utility over the size of the history",
    "dose": "metrics over the strength of personalisation",
    "probing": "probes over the layers of the language model",
    "pictures": "what users like, and what each method drew",
}
"""What tables and figures show, by the names of their files."""
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9:.-]*")


@dataclass(frozen=True)
class PaperResult:
    """What a paper is made from, and what was asked of it."""

    material: Material
    choices: Choices


class Paper(Report[PaperResult]):
    """Tables and figures for a paper, of runs; without any, of the committed results of a suite.

    A value is set off only where it differs from the next one significantly.

    Args:
        metrics: the columns of the tables; by default the metric of ranks, then one for each question.
        width: what everything is made for: `column` (3.25 in) or `text` (6.75 in).
        label: of the main table; the other labels are made from it.
        users: whose pictures are shown; by default one user of each kind in turn.
        sets: test metrics over sets, such as fid, between methods too; that takes minutes for each pair.
        baseline: the method, or the label of the run, that differences are to.
        suite: where the runs' suite is a file's class, `path/to/file.py:Class`; without runs, whose committed results.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "paper", "1", "LaTeX tables, figures and macros for a paper", "runs or none", folder="report/paper"
    )

    def __init__(
        self,
        metrics: tuple[str, ...] = (),
        width: Width = "text",
        label: str = "tab:main",
        users: tuple[str, ...] = (),
        sets: bool = False,
        baseline: str = BASELINE,
        suite: Annotated[str | None, "suite"] = None,
    ) -> None:
        if not _LABEL.fullmatch(label):
            raise PrefbenchError(
                f"label must be letters, digits, colons, dots and dashes such as tab:main, got {label!r}"
            )
        self._metrics, self._width, self._label, self._users = metrics, width, label, users
        self._sets, self._baseline, self._suite = sets, baseline, suite

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> PaperResult:
        """The material. Raises `PrefbenchError` as `table` does, and for a metric or user that no run has."""
        if runs:
            asked: Any = {
                "baseline": self._baseline,
                "suite": self._suite,
                "metrics": self._metrics,
                "sets": self._sets,
            }
            material = material_of_runs(runs, context, **asked)
        else:
            from .committed import committed_material  # what the leaderboard needs takes seconds to import

            material = committed_material(self._suite or default("suite"))
        for metric in self._metrics:
            if metric not in material.metrics:
                raise PrefbenchError(unknown("metric of these runs", metric, material.metrics))
        self._check_users(material)
        chosen = tuple(dict.fromkeys(self._metrics)) or tuple(material.headlines)
        return PaperResult(material, Choices(chosen, self._width, self._label, self._users))

    def as_json(self, result: PaperResult) -> Mapping[str, Any]:
        """Every number by the name of its macro."""
        return citations(result.material, result.choices.metrics).as_json()

    def tables(self, result: PaperResult) -> Sequence[Grid]:
        """What there is for the paper, and what is left out and why."""
        material, choices = result.material, result.choices
        rows = [(f"table-{one.stem}.tex", _SHOWN[one.stem]) for one in tables_of(material, choices.metrics)[0]]
        stems = [
            "headline",
            *["tradeoff"] * (adherence_of(material) is not None),
            *(one.stem for one in material.curves),
            *["pictures"] * bool(material.shown),
        ]
        rows += [(f"figure-{stem}.tex", _SHOWN[stem]) for stem in stems]
        notes = [*_untested(material, choices), *(f"left out: {line}" for line in left_out(material, choices))]
        return [Grid(f"for the paper, {choices.width} width", ("file", "shows"), [rows], notes, words=(0, 1))]

    def write(self, result: PaperResult, folder: Path) -> Sequence[Path]:
        """Writes tables, figures, `macros.tex`, `numbers.json` and `preamble.tex`; the main table first."""
        return write_folder(result.material, result.choices, folder)

    def _check_users(self, material: Material) -> None:
        if self._users and material.shown is None:
            raise PrefbenchError("users are whose pictures are shown; committed results have none, give runs")
        kinds = next(iter(material.shown.runs.values())).kinds if material.shown else {}
        for user in self._users:
            if user not in kinds:
                raise PrefbenchError(unknown("user of these runs", user, list(kinds)))


def _untested(material: Material, choices: Choices) -> list[str]:
    """The metrics in which no two methods are tested, so that nothing is set off in them."""
    tested = {metric for metric, _, _ in material.tests.p_holm}
    names = ", ".join(metric for metric in choices.metrics if metric not in tested)
    over_sets = "; -p sets=true tests metrics over sets, minutes a pair" * (material.shown is not None)
    return [f"not tested between methods: {names}{over_sets}"] * bool(names and len(material.ranked) > 1)

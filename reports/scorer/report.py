"""A scorer's card, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar

from prefbench.api import Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun, Scorer
from prefbench.registry import make
from prefbench.score import admission, scorer_figures

from ..shared.published import write_json
from .card import FIGURES, MeasuredScorer, draw_reliability, scorer_grid


class ScorerReport(Report[MeasuredScorer]):
    """A scorer's card with its accuracy and calibration on held-out users.

    Args:
        scorer: a registered scorer.
        measure: whether to measure it on the context's suite first and keep the figures; else those kept last are
            shown.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "scorer", "1", "a scorer's card: accuracy and calibration on held-out users, and whom it may rank", "none"
    )

    def __init__(self, scorer: Annotated[str, "scorer"] = "preference", measure: bool = False) -> None:
        self._name, self._measures = scorer, measure

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> MeasuredScorer:  # noqa: ARG002
        """The card with its figures. Raises `PrefbenchError` for an unknown scorer and what `measure` raises."""
        scorer: Scorer = make("scorer", self._name)
        if self._measures:
            scorer_figures.keep(scorer, scorer_figures.measure(scorer, context.suite()))
        try:
            figures, note = next(iter(admission.measured(scorer)), None), ""
        except PrefbenchError as error:  # without weights there is still a card
            figures, note = None, str(error)
        if figures is None and not note:
            note = f"not measured here: prefbench show scorer {self._name} --measure SUITE"
        content = {**asdict(scorer.card), **dict.fromkeys(FIGURES), "admitted": False, **(figures or {})}
        return MeasuredScorer(content, note)

    def as_json(self, result: MeasuredScorer) -> Mapping[str, Any]:
        """The card's fields and the figures."""
        return result.card

    def tables(self, result: MeasuredScorer) -> Sequence[Grid]:
        """One table, a row per figure."""
        return [scorer_grid(result)]

    def draw(self, result: MeasuredScorer, path: Path) -> Path:
        """Writes the reliability plot as PNG. Raises `PrefbenchError` where the scorer was not measured."""
        return draw_reliability(result, path)

    def write(self, result: MeasuredScorer, folder: Path) -> Sequence[Path]:
        """Writes `<scorer>.json` and the reliability plot. Raises `PrefbenchError` where it was not measured."""
        plot = self.draw(result, folder / f"{self._name}.png")
        return [write_json(folder / f"{self._name}.json", result.card), plot]

"""A scorer's card, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar

from prefbench.api import Grid, PairScorer, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun, Scorer, Suite
from prefbench.models.hub import locate
from prefbench.registry import load, make, names
from prefbench.score import admission, scorer_figures
from prefbench.score.figures import ScorerFigures
from prefbench.score.judge_figures import measure_judge

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
        scorer: Scorer | PairScorer = make("scorer", self._name)
        if self._measures:
            scorer_figures.keep(scorer, _measured(scorer, context.suite()))
        try:
            every, note = _last_of_each_suite(admission.measured(scorer)), ""
        except PrefbenchError as error:  # without weights there is still a card
            every, note = [], str(error)
        figures = every[0] if every else None
        if figures is None and not note:
            note = f"not measured here: prefbench show scorer {self._name} --measure SUITE"
        content = {**asdict(scorer.card), **dict.fromkeys(FIGURES), "admitted": False, **(figures or {})}
        return MeasuredScorer(content, note, every[1:])

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


def _measured(scorer: Scorer | PairScorer, suite: Suite) -> ScorerFigures:
    if isinstance(scorer, PairScorer):
        return measure_judge(scorer, suite)
    return scorer_figures.measure(scorer, suite, crowd=_crowd(scorer.card.name))


def _last_of_each_suite(measured: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Figures, the latest first, each suite once."""
    return list({figures["suite"]: figures for figures in reversed(measured)}.values())[::-1]


def _crowd(name: str) -> list[Scorer]:
    """The registered scorers that know no user and whose weights are here."""
    every = [load("scorer", one) for one in names("scorer") if one != name]
    crowd = [one() for one in every if issubclass(one, Scorer) and not one.card.personal]
    return [one for one in crowd if all(isinstance(locate(weights), Path) for weights in one.weights)]

"""Runs against one run by a pairwise judge, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from prefbench.api import Grid, PairScorer, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun, Scorer
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import load_class, make
from prefbench.run.environment import code_state

from ..shared.frame import BASELINE
from ..shared.published import portable
from .duels import MeasuredDuels, as_json, duel
from .grid import duels_grid


class Duels(Report[MeasuredDuels]):
    """Win rates of runs over one of them, sample by sample, by a judge that is asked in both orders.

    The judge sees those judgments of each user that no method sees, the prompt, and the two pictures. Answers are kept
    in the work folder: the same command goes on where it stopped, and asks nothing twice.

    Args:
        judge: a registered `PairScorer`, or path/to/file.py:Class.
        baseline: the label or method of the run that all others are compared with.
        parameters: of the judge, as `name=value`.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "duels", "1", "win rates over one run by a pairwise judge that is asked in both orders", "two runs"
    )

    def __init__(
        self, judge: Annotated[str, "scorer"] = "mllm-judge", baseline: str = BASELINE, parameters: tuple[str, ...] = ()
    ) -> None:
        self._judge, self._baseline, self._parameters = judge, baseline, parameters

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> MeasuredDuels:
        """The win rates. Raises `PrefbenchError` for a scorer of single pictures, and as `duel` does."""
        constructor = load_class("scorer", self._judge)
        judge: Scorer | PairScorer = make("scorer", self._judge, **bind(constructor, parse_pairs(self._parameters)))
        if not isinstance(judge, PairScorer):
            raise PrefbenchError(f"scorer {self._judge!r} values single pictures; duels are judged by a PairScorer")
        made_by = {"command": portable(context.command), "code": code_state()}
        return duel(runs, context, judge, self._baseline, made_by)

    def as_json(self, result: MeasuredDuels) -> Mapping[str, Any]:
        """Judge, baseline, one row per run, and what made them."""
        return as_json(result)

    def tables(self, result: MeasuredDuels) -> Sequence[Grid]:
        """One table, a row per run."""
        return [duels_grid(result)]

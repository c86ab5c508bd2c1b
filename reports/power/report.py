"""How many users a study needs, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from prefbench.api import Grid, Report, ReportCard, ReportContext, ScoredRun

from ..shared.frame import BASELINE
from ..shared.published import write_json
from .pilots import Plan, Question, as_json, plan, plan_grid


class Power(Report[Plan]):
    """Users that a study needs to show an effect, and the smallest effect that the runs themselves could show.

    Args:
        metric: a per-image metric; by default `utility`, else the first one of preference.
        baseline: the method, or the label of the run, that differences are to.
        effects: the effects to be shown.
        power, alpha: how often they are to be shown, at which two-sided level.
        accuracy: how often the metric orders two images as their user does; effects are true ones, of which a metric
            of accuracy a shows 2a - 1.
        prompts, samples: prompts per user and samples per prompt of the study; by default the pilot's.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "power", "2", "users that a larger study needs, from runs as pilots", "runs"
    )

    def __init__(
        self,
        metric: str | None = None,
        baseline: str = BASELINE,
        effects: tuple[float, ...] = (),
        power: float = 0.8,
        alpha: float = 0.05,
        accuracy: float = 1.0,
        prompts: int | None = None,
        samples: int | None = None,
    ) -> None:
        self._question = Question(effects, power, alpha, accuracy)
        self._choices: dict[str, Any] = {"metric": metric, "baseline": baseline, "prompts": prompts, "samples": samples}

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> Plan:  # noqa: ARG002
        """The plan. Raises `PrefbenchError` as `plan` does."""
        return plan(runs, self._question, **self._choices)

    def as_json(self, result: Plan) -> Mapping[str, Any]:
        """The question and every pilot."""
        return as_json(result)

    def tables(self, result: Plan) -> Sequence[Grid]:
        """One table, a row per pilot."""
        return [plan_grid(result)]

    def write(self, result: Plan, folder: Path) -> Sequence[Path]:
        """Writes `power.json`."""
        return [write_json(folder / "power.json", self.as_json(result))]

"""The report `attacks`: attackers compared with honest methods in every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.api import Grid, ReportCard, ReportContext, ScoredRun

from ..shared.escape import slug
from ..shared.published import Published
from .attackers import attacks
from .page import draw, grid, render
from .schema import AttackResult


class Attacks(Published[AttackResult]):
    """Scored runs of attackers, such as `copy`, against the best honest method among the runs, metric by metric."""

    card = ReportCard(
        name="attacks",
        version="1",
        summary="which metric each attacker fools, against the best honest method",
        takes="runs",
        published="attacks",
    )

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> AttackResult:  # noqa: ARG002
        """The table of attacks. Raises what `attacks` raises."""
        return attacks(runs)

    def as_json(self, result: AttackResult) -> Mapping[str, Any]:
        """The stored table."""
        return result

    def tables(self, result: AttackResult) -> Sequence[Grid]:
        """One row per attacker, then the best honest method."""
        return [grid(result)]

    def stem(self, result: AttackResult) -> str:
        """One suite, split and backbone, and where not all users were drawn for how many."""
        some = [] if result["users"] is None else [f"{result['users']}-users"]
        return ".".join(slug(text) for text in (result["suite"], result["split"], result["backbone"], *some))

    def render(self, result: AttackResult) -> str:
        """The page."""
        return render(result, self.stem(result))

    def draw(self, result: AttackResult, folder: Path) -> Sequence[Path]:
        """The table as a picture."""
        path = folder / f"{self.stem(result)}.png"
        draw(result, path)
        return [path]

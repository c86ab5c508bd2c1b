"""The report `worlds`: whether methods keep their order where users are others than they were learned on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefbench.api import Grid, PrefbenchError, ReportCard, ReportContext, ScoredRun
from prefbench.run.environment import code_state, versions

from ..shared.escape import slug
from ..shared.frame import is_control
from ..shared.published import Published, portable
from .figure import draw
from .grids import metrics_grid, order_grid, pairs_grid, turns_grid
from .metrics import found_in, metrics_of
from .orders import TrueOrder, pairs_of, sides_of, turns_of
from .page import render
from .schema import MethodRecord, MetricRecord, WorldRecord, WorldsResult
from .worlds import World, shared_dials, worlds_of

_FEWEST = 100


class Worlds(Published[WorldsResult]):
    """Scored runs of the same methods, drawn under several parameters of a suite or for several splits.

    Args:
        replicates: resampled users and prompts behind each interval, at least 100.
    """

    card = ReportCard(
        name="worlds",
        version="1",
        summary="whether the true ranking and the metrics that find it hold from world to world",
        takes="runs",
        published="worlds",
    )

    def __init__(self, replicates: int = 2000) -> None:
        if replicates < _FEWEST:
            raise PrefbenchError(f"replicates must be {_FEWEST} or more for an interval of 95 %, got {replicates}")
        self._replicates = replicates

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> WorldsResult:
        """The worlds compared. Raises what `worlds_of` raises."""
        worlds = worlds_of(runs)
        context.log(f"compare {len(next(iter(worlds)).runs)} methods and controls over {len(worlds)} worlds")
        orders, metrics = [TrueOrder.of(world, replicates=self._replicates) for world in worlds], metrics_of(worlds)
        sides, spec = sides_of(orders), runs[0].spec
        return {
            "suite": spec["suite"],
            "backbone": spec["backbone"],
            "backbone_digest": spec["backbone_digest"],
            "seed": spec["seed"],
            "samples_per_case": spec["samples_per_case"],
            "shared": shared_dials([world.dials for world in worlds]),
            "replicates": self._replicates,
            "methods": {label: _method(label, worlds) for label in worlds[0].runs},
            "metrics": metrics,
            "worlds": [_record(order, metrics) for order in orders],
            "pairs": pairs_of(orders, sides),
            "method_pairs": len(sides),
            "turns": turns_of(orders, sides),
            "date": datetime.now(UTC).date().isoformat(),
            "code": code_state(),
            "versions": versions(),
        }

    def as_json(self, result: WorldsResult) -> Mapping[str, Any]:
        """The whole result."""
        return result

    def tables(self, result: WorldsResult) -> Sequence[Grid]:
        """The true order, worlds against worlds, the pairs that turn, the metrics."""
        return [order_grid(result), pairs_grid(result), turns_grid(result), metrics_grid(result)]

    def stem(self, result: WorldsResult) -> str:
        """One suite and backbone."""
        return ".".join(slug(text) for text in (result["suite"], result["backbone"]))

    def render(self, result: WorldsResult) -> str:
        """The page."""
        return render(result, self.stem(result))

    def draw(self, result: WorldsResult, folder: Path) -> Sequence[Path]:
        """The ranks over worlds."""
        path = folder / f"{self.stem(result)}.png"
        draw(result, path)
        return [path]


def _method(label: str, worlds: Sequence[World]) -> MethodRecord:
    run = worlds[0].runs[label]
    return {
        "control": is_control(run),
        "commands": {w.name: portable(str(w.runs[label].description.get("command", ""))) for w in worlds},
    }


def _record(order: TrueOrder, metrics: Mapping[str, MetricRecord]) -> WorldRecord:
    world, first = order.world, order.scores[0]
    return {
        "name": world.name,
        "dials": world.dials,
        "split": world.split,
        "suite_digest": next(iter(world.runs.values())).spec["suite_digest"],
        "n_users": len(set(first.users.tolist())),
        "n_prompts": len(set(first.prompts.tolist())),
        "n_samples": len(first),
        "missing": order.missing,
        "order": order.places(),
        "metrics": found_in(order, metrics),
    }

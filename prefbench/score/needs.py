"""What metrics need of a suite and of this machine, asked before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Metric, PrefbenchError, Suite
from prefbench.api.guard import guarded, module_of
from prefbench.models.inventory import Inventory
from prefbench.registry import make


def check_needs(suite: Suite, metrics: Sequence[str]) -> None:
    """Raises `PrefbenchError` for metrics that a suite cannot have, or whose weights are absent; one line for all."""
    inventory = Inventory(suite.card)
    unmet = dict.fromkeys(line for name in metrics if (line := _unmet(suite, make("metric", name), inventory)))
    if unmet:
        raise PrefbenchError("; ".join(unmet))


def _unmet(suite: Suite, metric: Metric, inventory: Inventory) -> str:
    """What keeps a metric from being scored; empty where nothing does."""
    with guarded(f"metric {metric.card.name!r}", "what it uses", module=module_of(metric)):
        if metric.card.asks_truth and suite.truth is None:
            return f"{metric.card.name} needs a suite that knows the truth; {suite.card.name} does not"
        row = inventory.row_of(metric)
    missing = ", ".join(row.missing)
    return (
        "" if row.ready else f"{metric.card.name}: {missing}" + (f"; get it with: {row.command}" if row.command else "")
    )

"""From names of metrics that a user gave to metrics, before anything is drawn or scored."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Metric, PrefbenchError
from prefbench.registry import canonical, check_name, make


def check_metrics(metrics: Sequence[str]) -> None:
    """Raises `PrefbenchError` for a metric that cannot be loaded or lacks what it needs: before anything is drawn."""
    for name in metrics:
        check_name("metric", name)
    make_metrics(metrics)


def make_metrics(names: Sequence[str]) -> dict[str, Metric]:
    """Metrics by the names on their cards, which begin the names of their columns.

    Raises:
        PrefbenchError: what `make` raises; or two of them would write one column.
    """
    metrics: dict[str, Metric] = {}
    given: dict[str, str] = {}
    for name in dict.fromkeys(names):
        metric: Metric = make("metric", name)
        own = metric.card.name
        if (other := given.setdefault(canonical(own), name)) != name:
            raise PrefbenchError(f"metrics {other!r} and {name!r} both write the column {own!r}: score one of them")
        metrics[own] = metric
    return metrics

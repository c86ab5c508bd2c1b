"""One method with different parameters: its runs against that with the defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from prefbench.api import ALL, ScoredRun, Suite, counted
from prefbench.training.variants import WHOLE

from ..ablation.schema import VariantCell, VariantDifference, VariantRow
from ..contrasts.contrasts import contrast
from ..shared.frame import is_plain
from ..shared.labels import label_runs
from ..shared.numbers import numbers
from .material import Variants


def variant_labels(runs: Mapping[str, ScoredRun]) -> list[str]:
    """The labels of the method that is given with most settings, the reference first; none where each has one.

    The reference is the method with its default parameters, else the first that is given.
    """
    methods: dict[str, list[str]] = {}
    for label, run in runs.items():
        if run.control is None:
            methods.setdefault(run.method, []).append(label)
    method, labels = max(methods.items(), key=lambda item: len(item[1]), default=("", []))
    if len(labels) < 2:
        return []
    reference = next((label for label in labels if is_plain(runs[label], method)), labels[0])
    return [reference, *(label for label in labels if label != reference)]


def variants_of(runs: Mapping[str, ScoredRun], suite: Callable[[], Suite], metrics: Sequence[str]) -> Variants | None:
    """A method's settings against the first of the runs, in metrics over images; None without any of either."""
    if not runs:
        return None
    reference, *others = runs
    columns = runs[reference].columns()
    shared = [name for name in metrics if name in columns and all(name in run.columns() for run in runs.values())]
    if not shared:
        return None
    cells = {label: _cells(run, shared) for label, run in runs.items()}
    own_labels = dict(zip(label_runs(list(runs.values())), runs, strict=True))
    base = next(own for own, label in own_labels.items() if label == reference)
    for row in contrast(list(runs.values()), suite, metrics=shared, baseline=base).rows:
        difference = cast("VariantDifference", {**numbers(row.difference), "p": row.p})
        p_holm = row.p_holm if len(others) > 1 else row.p
        if p_holm is not None:
            difference["p_holm"] = p_holm
        cells[own_labels[row.method]][row.metric]["difference"] = difference
    rows: list[VariantRow] = [
        {
            "group": WHOLE if label == reference else "",
            "name": label,
            "parameters": dict(run.spec["parameters"]),
            "metrics": cells[label],
        }
        for label, run in runs.items()
    ]
    family = f"Holm over the {counted(len(others), 'variant')} of each metric"
    return Variants(runs[reference].method, rows, {name: columns[name].direction for name in shared}, family)


def _cells(run: ScoredRun, metrics: Sequence[str]) -> dict[str, VariantCell]:
    rows = {row.metric: row for row in run.summary() if row.kind == ALL}
    return {name: cast("VariantCell", numbers(rows[name])) for name in metrics}

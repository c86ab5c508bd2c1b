"""What each part of a method is worth: variants drawn for the same cases, each held against the whole method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.environment import code_state, hardware, versions
from prefbench.execution import Settings, execute, prepare
from prefbench.registry import load
from prefbench.scoring import Material, Scorer
from prefbench.stats import Scores, crossed_bootstrap, holm, paired_difference
from prefbench.summary import Run
from prefbench.training.variants import WHOLE, Ablation, AblationRequest, Variant

METRICS = ("utility", "prompt-fidelity", "clip-score")
"""Of these the ones that the suite has: over images, so that they can be paired."""
Result = dict[str, Any]


def ablate(
    name: str, request: AblationRequest, *, command: str = "", said: Callable[[str], object] = lambda _: None
) -> Result:
    """Trains and draws every variant of a method; a part that is there already is not made again.

    Args:
        said: is told what begins.

    Returns:
        Plain data: a row a variant, with the mean over users, its interval, and the paired difference to the whole
        method with Holm-adjusted p values over the rows of one metric.
    """
    found: Ablation = load("ablation", name)(request, said)
    whole = found.variants[0]
    if whole.name != WHOLE:
        raise PrefbenchError(f"the first variant of {name} must be {WHOLE!r}, got {whole.name!r}")
    columns = []
    for variant in found.variants:
        said(f"draw {variant.group}: {variant.name}")
        columns.append(_scored(name, request, variant, whole.weights))
    return {
        "method": name,
        "suite": request.suite or "picturebook",
        "split": request.split,
        "training": dict(found.training),
        "defaults": dict(found.defaults),
        "command": command,
        **code_state(),
        "versions": versions(),
        "hardware": hardware(),
        "rows": _rows(found.variants, columns),
    }


def _scored(name: str, request: AblationRequest, variant: Variant, weights: Path | None) -> dict[str, Scores]:
    """Every column of the variant's run, by name."""
    given = dict(variant.parameters)
    if variant.weights is not None or weights is not None:
        given["weights"] = variant.weights or weights
    settings = Settings(
        name,
        suite=request.suite or "picturebook",
        split=request.split,
        parameters=[f"{key}={value}" for key, value in given.items()],
        backbone=request.backbone,
        users=request.users,
        samples=request.samples,
        out=request.work / "runs",
    )
    prepared = prepare(settings)
    execute(prepared)
    metrics = [metric for metric in METRICS if metric in prepared.suite.card.metrics]
    Scorer(prepared.suite, metrics).score(Material(prepared.folder, prepared.suite, prepared.spec.split))
    return {column: found.scores for column, found in Run.open(prepared.folder.path).columns().items()}


def _rows(variants: Sequence[Variant], columns: Sequence[Mapping[str, Scores]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"group": v.group, "name": v.name, "parameters": dict(v.parameters), "metrics": {}} for v in variants
    ]
    for metric in _shown(columns[0]):
        tested: list[tuple[dict[str, Any], float]] = []
        for i, scored in enumerate(columns):
            cell: dict[str, Any] = asdict(crossed_bootstrap(scored[metric]))
            rows[i]["metrics"][metric] = cell
            if i:
                difference = paired_difference(scored[metric], columns[0][metric])
                cell["difference"] = asdict(difference.estimate) | {"p": difference.p_value}
                if difference.p_value is not None:
                    tested.append((cell["difference"], difference.p_value))
        for (cell, _), adjusted in zip(tested, holm([p for _, p in tested]), strict=True):
            cell["p_holm"] = float(adjusted)
    return rows


def _shown(columns: Collection[str]) -> list[str]:
    """Of the columns those of `METRICS` in their order, utility with its groups of axes."""
    groups = [column for column in columns if column.startswith("utility/")]
    wanted = [METRICS[0], *groups, *METRICS[1:]]
    return [column for column in wanted if column in columns]

"""What each part of a method is worth: variants drawn for the same cases, each held against the whole method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prefbench.api import SPLITS, PrefbenchError, Scores, Suite
from prefbench.environment import code_state, hardware, versions
from prefbench.registry import load, unknown
from prefbench.run.execute import execute
from prefbench.run.prepare import Settings, load_suite, prepare
from prefbench.score.evaluate import Evaluator, Material
from prefbench.score.summary import Run
from prefbench.stats.bootstrap import crossed_bootstrap
from prefbench.stats.tests import holm, paired_difference
from prefbench.training.variants import WHOLE, Ablation, AblationRequest, Variant

METRICS = ("utility", "prompt-fidelity", "clip-score")
"""Of these the ones that the suite has: over images, so that they can be paired."""
Result = dict[str, Any]


def ablate(
    name: str, request: AblationRequest, *, command: str = "", log: Callable[[str], object] = lambda _: None
) -> Result:
    """Trains and draws every variant of a method; a part that is there already is not made again.

    Args:
        log: is told in one line what begins.

    Returns:
        Plain data: what was drawn for whom, and a row a variant, with the mean over users, its interval, and the paired
        difference to the whole method with Holm-adjusted p values over the rows of one metric.

    Raises:
        PrefbenchError: before anything is trained, a split, users or suite that cannot be measured; a variant of which
            samples failed or metrics were refused.
    """
    suite, users = _measurable(request)
    metrics = [metric for metric in METRICS if metric in suite.card.metrics]
    found: Ablation = load("ablation", name)(request, log)
    whole = found.variants[0]
    if whole.name != WHOLE:
        raise PrefbenchError(f"the first variant of {name} must be {WHOLE!r}, got {whole.name!r}")
    runs = []
    for variant in found.variants:
        log(f"draw {variant.group}: {variant.name}")
        runs.append(_drawn(_settings(name, request, found, variant), variant, metrics))
    columns = [{column: held.scores for column, held in run.columns().items()} for run in runs]
    shared = ("suite", "suite_digest", "split", "backbone", "backbone_digest", "seed", "steps", "samples_per_case")
    return {
        "method": name,
        **{key: runs[0].spec[key] for key in shared},
        "users": users,
        "training": dict(found.training),
        "defaults": dict(found.defaults),
        "command": command,
        **code_state(),
        "versions": versions(),
        "hardware": hardware(),
        "rows": _rows(found.variants, columns),
    }


def _measurable(request: AblationRequest) -> tuple[Suite, int]:
    """The suite, and for how many users is drawn."""
    suite, _ = load_suite(request.suite or "picturebook")
    if request.split not in SPLITS:
        raise PrefbenchError(unknown("split", request.split, list(SPLITS)))
    if METRICS[0] not in suite.card.metrics:
        raise PrefbenchError(f"ablations are told in {METRICS[0]}, which suite {suite.card.name!r} does not have")
    there = len(suite.users(request.split))
    users = there if request.users is None else request.users
    if not 2 <= users <= there:
        raise PrefbenchError(f"--users must be 2 to {there} for an interval, got {users}")
    return suite, users


def _settings(name: str, request: AblationRequest, found: Ablation, variant: Variant) -> Settings:
    """What draws a variant: with its own weights, else the whole method's, else those that the method takes itself."""
    weights = variant.weights or found.variants[0].weights
    given = {**variant.parameters, **({} if weights is None else {"weights": weights})}
    return Settings(
        name,
        suite=request.suite or "picturebook",
        split=request.split,
        parameters=[f"{key}={value}" for key, value in given.items()],
        backbone=found.backbone or request.backbone,
        users=request.users,
        samples=request.samples,
        out=request.work / "runs",
    )


def _drawn(settings: Settings, variant: Variant, metrics: Sequence[str]) -> Run:
    """The variant's run, drawn and scored."""
    prepared = prepare(settings)
    result = execute(prepared)
    if result.failed:
        raise PrefbenchError(f"{result.failed} samples of {variant.name} failed; the same command tries them again")
    with prepared.folder.locked():
        material = Material(prepared.folder, prepared.suite, prepared.spec.split)
        refused = Evaluator(prepared.suite, metrics).score(material).refused
    if refused:
        reasons = "; ".join(f"{metric}: {reason}" for metric, reason in refused.items())
        raise PrefbenchError(f"{variant.name} cannot be measured: {reasons}")
    return Run.open(prepared.folder.path)


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

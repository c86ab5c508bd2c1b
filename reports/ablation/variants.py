"""What each component of a method is worth: variants drawn for the same cases, each compared with the whole method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

from prefbench.api import SPLITS, Column, PrefbenchError, Scores, Suite, counted
from prefbench.api.guard import guarded, module_of
from prefbench.api.near import unknown
from prefbench.registry import default, load, load_class
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.execute import execute
from prefbench.run.prepare import Settings, load_suite, prepare
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import holm, paired_difference
from prefbench.training.variants import Ablation, AblationRequest, Variant, checked_ablation

from ..shared.numbers import numbers
from .schema import AblationResult, VariantCell, VariantDifference, VariantRow

METRICS = ("utility", "prompt-fidelity", "clip-score")
"""What ablations are measured in, as far as the suite has it: per-image metrics, so that runs can be paired."""


def ablate(
    name: str, request: AblationRequest, *, command: str = "", log: Callable[[str], object] = lambda _: None
) -> AblationResult:
    """Trains and draws every variant of a method; what was trained or drawn before is not made again.

    Args:
        log: receives a line when a step begins.

    Returns:
        Plain data: what was drawn for whom, and one row per variant with the mean over users, its interval, and the
        paired difference to the whole method; p values are adjusted over the rows of one metric (Holm).

    Raises:
        PrefbenchError: before anything is trained, a split, users or suite that cannot be measured; a variant of which
            samples failed or metrics were refused.
    """
    suite, users = _measurable(request)
    load_class("method", name)
    metrics = [metric for metric in METRICS if metric in suite.card.metrics]
    train = load("ablation", name)
    with guarded(f"ablation {name!r}", "training", module=module_of(train)):
        ablation = checked_ablation(f"ablation {name!r}", train(request, log))
    runs = []
    for variant in ablation.variants:
        log(f"draw {variant.group}: {variant.name}")
        runs.append(_drawn(_settings(name, request, ablation, variant), variant, metrics))
    spec, code = runs[0].spec, code_state()
    return {
        "method": name,
        "suite": spec["suite"],
        "suite_digest": spec["suite_digest"],
        "split": spec["split"],
        "backbone": spec["backbone"],
        "backbone_digest": spec["backbone_digest"],
        "seed": spec["seed"],
        "steps": spec["steps"],
        "samples_per_case": spec["samples_per_case"],
        "users": users,
        "training": dict(ablation.training),
        "defaults": dict(ablation.defaults),
        "command": command,
        "commit": code["commit"],
        "dirty": code["dirty"],
        "versions": versions(),
        "hardware": hardware(),
        "rows": rows_of(ablation.variants, [run.columns() for run in runs]),
    }


def _measurable(request: AblationRequest) -> tuple[Suite, int]:
    """The suite, and for how many users is drawn."""
    suite, _ = load_suite(request.suite or default("suite"))
    if request.split not in SPLITS:
        raise PrefbenchError(unknown("split", request.split, list(SPLITS)))
    if METRICS[0] not in suite.card.metrics:
        raise PrefbenchError(f"ablations are measured in {METRICS[0]}, which suite {suite.card.name!r} does not have")
    available = len(suite.users(request.split))
    users = available if request.users is None else request.users
    if not 2 <= users <= available:
        raise PrefbenchError(f"--users must be 2 to {available} for an interval, got {users}")
    return suite, users


def _settings(name: str, request: AblationRequest, ablation: Ablation, variant: Variant) -> Settings:
    """What draws a variant: with its own weights, else the whole method's, else those that the method takes itself."""
    weights = variant.weights or ablation.variants[0].weights
    parameters = {**variant.parameters, **({} if weights is None else {"weights": weights})}
    return Settings(
        name,
        suite=request.suite or default("suite"),
        split=request.split,
        parameters=[f"{key}={value}" for key, value in parameters.items()],
        backbone=ablation.backbone or request.backbone,
        users=request.users,
        samples=request.samples,
        out=request.work / "runs",
    )


def _drawn(settings: Settings, variant: Variant, metrics: Sequence[str]) -> ScoredFolder:
    """The variant's run, drawn and scored."""
    prepared = prepare(settings)
    result = execute(prepared)
    if result.failed:
        failed = counted(result.failed, "sample")
        raise PrefbenchError(f"{failed} of {variant.name} failed; the same command tries again")
    with prepared.folder.locked():
        material = Material(prepared.folder, prepared.suite, prepared.spec.split)
        refused = Evaluator(prepared.suite, metrics).score(material).refused
    if refused:
        reasons = "; ".join(f"{metric}: {reason}" for metric, reason in refused.items())
        raise PrefbenchError(f"{variant.name} cannot be measured: {reasons}")
    return ScoredFolder.open(prepared.folder.path)


def rows_of(variants: Sequence[Variant], columns: Sequence[Mapping[str, Column]]) -> list[VariantRow]:
    """One row per variant, the whole method first; its own columns decide which are shown."""
    cells = {metric: _cells([of_run[metric].scores for of_run in columns]) for metric in _in_order(columns[0])}
    return [
        {
            "group": variant.group,
            "name": variant.name,
            "parameters": dict(variant.parameters),
            "metrics": {metric: of_metric[i] for metric, of_metric in cells.items()},
        }
        for i, variant in enumerate(variants)
    ]


def _cells(scores: Sequence[Scores]) -> list[VariantCell]:
    """Each variant's mean, and but for the first its paired difference to the first, adjusted over the variants."""
    cells = [cast(VariantCell, numbers(mean_interval(of_variant))) for of_variant in scores]
    tested = []
    for cell, of_variant in zip(cells[1:], scores[1:], strict=True):
        pair = paired_difference(of_variant, scores[0])
        cell["difference"] = cast(VariantDifference, {**numbers(pair.estimate), "p": pair.p_value})
        if pair.p_value is not None:
            tested.append((cell["difference"], pair.p_value))
    for (difference, _), adjusted in zip(tested, holm([p for _, p in tested]), strict=True):
        difference["p_holm"] = float(adjusted)
    return cells


def _in_order(columns: Collection[str]) -> list[str]:
    """The columns of `METRICS` in their order; those of utility's groups of axes follow utility."""
    groups = [column for column in columns if column.startswith("utility/")]
    order = [METRICS[0], *groups, *METRICS[1:]]
    return [column for column in order if column in columns]

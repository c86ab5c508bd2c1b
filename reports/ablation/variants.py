"""What each component of a method is worth: variants drawn for the same cases, each compared with the whole method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from prefbench.api import SPLITS, Column, Estimate, PrefbenchError, Scores, Suite, counted
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
from .over_seeds import mean_columns, over_seeds
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
        settings = _settings(name, request, ablation, variant)
        runs.append([_drawn(one, variant, metrics) for one in settings])
    spec, code = runs[0][0].spec, code_state()
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
        "seeds": request.seeds,
        "rows": rows_of(ablation.variants, [[run.columns() for run in seeds] for seeds in runs]),
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


def _settings(name: str, request: AblationRequest, ablation: Ablation, variant: Variant) -> list[Settings]:
    """What draws a variant, one per seed: with its own weights, else the whole method's, else those that the method
    takes itself.
    """
    trained = variant if variant.weights is not None else ablation.variants[0]
    weights: list[Path | str | None] = [trained.weights, *trained.more_weights]
    return [_setting(name, request, ablation, variant, one) for one in weights]


def _setting(
    name: str, request: AblationRequest, ablation: Ablation, variant: Variant, weights: Path | str | None
) -> Settings:
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


def rows_of(variants: Sequence[Variant], columns: Sequence[Sequence[Mapping[str, Column]]]) -> list[VariantRow]:
    """One row per variant, the whole method first; its own columns decide which are shown.

    Args:
        columns: of each variant, one for each of its seeds.
    """
    means = [mean_columns(seeds) for seeds in columns]
    cells = {
        metric: _cells(
            [of_run[metric].scores for of_run in means],
            [[of_run[metric].scores for of_run in seeds] for seeds in columns],
        )
        for metric in _in_order(means[0])
    }
    return [
        {
            "group": variant.group,
            "name": variant.name,
            "parameters": dict(variant.parameters),
            "metrics": {metric: of_metric[i] for metric, of_metric in cells.items()},
        }
        for i, variant in enumerate(variants)
    ]


def _cells(scores: Sequence[Scores], seeds: Sequence[Sequence[Scores]]) -> list[VariantCell]:
    """Each variant's mean, and but for the first its paired difference to the first, adjusted over the variants."""
    cells = [
        cast(VariantCell, _over_seeds(mean_interval(mean), [mean_interval(one).value for one in own]))
        for mean, own in zip(scores, seeds, strict=True)
    ]
    tested = []
    for cell, of_variant, own in zip(cells[1:], scores[1:], seeds[1:], strict=True):
        pair = paired_difference(of_variant, scores[0])
        alone = [paired_difference(one, whole).estimate.value for one, whole in zip(own, seeds[0], strict=True)]
        told = {"p": pair.p_value} | _over_seeds(pair.estimate, alone)
        cell["difference"] = cast(VariantDifference, told)
        if told["p"] is not None:
            tested.append((cell["difference"], told["p"]))
    for (difference, _), adjusted in zip(tested, holm([p for _, p in tested]), strict=True):
        difference["p_holm"] = float(adjusted)
    return cells


def _over_seeds(estimate: Estimate, alone: Sequence[float | None]) -> dict[str, Any]:
    """An estimate's numbers; of several seeds, for other seeds too, with the number by each seed."""
    told: dict[str, Any] = dict(numbers(estimate))
    wider = over_seeds(estimate, [value for value in alone if value is not None])
    return told if wider is None else told | wider._asdict() | {"seeds": list(alone)}


def _in_order(columns: Collection[str]) -> list[str]:
    """The columns of `METRICS` in their order; those of utility's groups of axes follow utility."""
    groups = [column for column in columns if column.startswith("utility/")]
    order = [METRICS[0], *groups, *METRICS[1:]]
    return [column for column in order if column in columns]

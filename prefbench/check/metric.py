"""The conformance suite of metrics, on small made-up samples: no weights, no suite."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from prefbench.api import ImageMetric, Metric, PrefbenchError, Scorer, SetMetric, UserMetric
from prefbench.api.guard import guarded, module_of
from prefbench.check.cards import check_defaults, check_metric_card, registered_name
from prefbench.check.findings import Check, Finding, Listener, run_checks, skip, warn
from prefbench.check.image_metric import ImageMetricChecks
from prefbench.check.set_metric import SetMetricChecks
from prefbench.check.user_metric import UserMetricChecks
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import construct, load


def check_metric(
    metric: str | type[Metric],
    parameters: Sequence[str] = (),
    *,
    listener: Listener = lambda _: None,
) -> list[Finding]:
    """Checks a metric: card, shape and range of its values, and that order and batches do not matter.

    Args:
        metric: a registered name, path/to/file.py:Class, or the class.
        parameters: of the metric, as `name=value`.
        listener: receives each finding as soon as its check ends.

    Raises:
        PrefbenchError: an unknown name or parameter, or an object that is no metric over images, sets or users.
    """
    constructor = load("metric", metric) if isinstance(metric, str) else metric
    if not (isinstance(constructor, type) and issubclass(constructor, ImageMetric | SetMetric | UserMetric)):
        raise PrefbenchError(f"{metric} is not a subclass of prefbench.api.ImageMetric, SetMetric or UserMetric")
    findings = run_checks({"parameters": partial(check_defaults, constructor, parameters)}, listener)
    if not findings[0].passed:
        return findings
    instance: Metric = construct(f"metric {metric!r}", constructor, bind(constructor, parse_pairs(parameters)))
    card: dict[str, Check] = {"card": partial(check_metric_card, instance, registered_name(metric))}
    findings += run_checks(card, listener)
    if not findings[-1].passed:
        return findings
    checks = _checks(instance).all()
    with guarded(f"metric {metric!r}", "scorer", module=module_of(instance)):
        scorer = instance.scorer if isinstance(instance, ImageMetric) else None
    if scorer is not None:
        (weights,) = run_checks({"weights": partial(weights_of, scorer)}, listener)
        findings.append(weights)
        if weights.outcome != "ok":
            checks = dict.fromkeys(checks, partial(skip, "needs the scorer's weights"))
    return findings + run_checks(checks, listener)


def weights_of(scorer: Scorer) -> str:
    """The scorer's weights are here, or a warning says how to get them."""
    try:
        return scorer.id
    except PrefbenchError as error:
        warn(f"nothing below was checked: {error}")


def _checks(metric: Metric) -> ImageMetricChecks | SetMetricChecks | UserMetricChecks:
    if isinstance(metric, ImageMetric):
        return ImageMetricChecks(metric)
    return UserMetricChecks(metric) if isinstance(metric, UserMetric) else SetMetricChecks(metric)

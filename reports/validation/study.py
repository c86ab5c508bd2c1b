"""The whole validation: systems drawn and scored, then one part per question, each stored once it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from prefbench.api import PrefbenchError, ScoredRun, Suite
from prefbench.files import write_atomic
from prefbench.run.environment import code_state, hardware, versions

from . import correlation, coverage, dose, false_positives, ladders, leakage, sample_size
from .measured import MeasuredSystems
from .preparation import Preparation
from .requirements import requirements
from .schema import MetricRecord, Parts, ValidationResult
from .settings import ValidationSize

_REVISION = 3
"""Raised when a part is measured in another way: parts that were stored are then measured again."""
PARTS: Mapping[str, Callable[[MeasuredSystems], Any]] = {
    "per_image": correlation.per_image,
    "per_user": correlation.per_user,
    "of_systems": correlation.of_systems,
    "dose": dose.response,
    "ladders": ladders.corruption_effects,
    "identical": false_positives.identical,
    "identical_mixed": false_positives.identical_mixed,
    "differing_by_prompt": false_positives.differing_by_prompt,
    "identical_sets": false_positives.identical_sets,
    "coverage": coverage.coverage,
    "coverage_of_sets": coverage.coverage_of_sets,
    "sizes": sample_size.curves,
    "leakage": leakage.selection_bias,
}


def validate(
    suite: Suite,
    folder: Path,
    metrics: Sequence[str],
    *,
    runs: Mapping[str, ScoredRun] | None = None,
    size: ValidationSize | None = None,
    command: str = "",
    log: Callable[[str], object] = lambda _: None,
) -> ValidationResult:
    """Validates metrics on a suite that knows the truth. The same call again continues; what is stored is not repeated.

    Args:
        folder: where systems, their scores and measured parts are stored.
        metrics: names; those that cannot be computed are left out and listed, `utility` must be among them.
        runs: real runs of the suite by their labels, for the ranking of methods; copies of them are scored for all
            metrics.
        command: what a reader can run again.
        log: receives one line for each step that begins.

    Returns:
        Plain data: the parts, what is required and whether it holds.

    Raises:
        PrefbenchError: the suite knows no truth, or has too little for the size.
    """
    preparation = Preparation(suite, folder, metrics, _fitting(suite, size or ValidationSize()), log)
    measured = preparation.systems()
    parts = _parts(measured, folder / "parts", log)
    if runs:
        parts["of_runs"] = correlation.of_runs(preparation.real_runs(runs), measured.size)
    code = code_state()
    return {
        "command": command,
        "suite": suite.card.name,
        "suite_digest": suite.digest,
        "scale": asdict(measured.size),
        "metrics": {name: _record(measured, name) for name in measured.cards},
        "left_out": dict(measured.left_out),
        "parts": parts,
        "requirements": requirements(parts),
        "versions": versions(),
        "hardware": hardware(),
        "commit": code["commit"],
        "dirty": code["dirty"],
    }


def _fitting(suite: Suite, size: ValidationSize) -> ValidationSize:
    """The size for as many users as there are."""
    if suite.truth is None:
        raise PrefbenchError(f"validating needs a suite that knows the truth; {suite.card.name} does not")
    return replace(size, pool_users=min(size.pool_users, len(suite.users("train"))))


def _record(measured: MeasuredSystems, name: str) -> MetricRecord:
    card, header = measured.cards[name], measured.run(measured.systems.middle).headers.get(name)
    return {
        "direction": card.direction,
        "unit": card.unit,
        "question": card.question,
        "recipe": measured.run(measured.systems.middle).recipes().get(name, card.id),
        "default": name in measured.suite.card.metrics,
        "extractor": "" if header is None else header.encoder_of(name),
    }


def _parts(measured: MeasuredSystems, folder: Path, log: Callable[[str], object]) -> Parts:
    """Every part: as it is stored in the folder, or measured now where other systems or scores were measured then."""
    fingerprint, parts = f"{_REVISION} {measured.fingerprint}", dict[str, Any]()
    for name, measure in PARTS.items():
        path = folder / f"{name}.json"
        stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"of": None}
        if stored["of"] != fingerprint:
            log(f"measure {name.replace('_', ' ')}")
            # Through JSON and back, so that a continued validation ends with the same data as an undisturbed one.
            text = json.dumps({"of": fingerprint, "found": measure(measured)})
            write_atomic(path, text)
            stored = json.loads(text)
        parts[name] = stored["found"]
    return cast(Parts, parts)

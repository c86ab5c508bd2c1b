"""The whole validation: systems drawn and scored, then one part a question, each kept once it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError, Suite
from prefbench.environment import code_state, hardware, versions
from prefbench.files import write_atomic
from prefbench.score.summary import Run

from . import correlation, dose, ladders, leakage, nulls, sizes
from .bench import UTILITY, Bench, Said
from .scale import ALPHA, MIDDLE, Scale

Result = dict[str, Any]
_REVISION = 3
"""Raised when a part is measured in another way: parts that were kept are then measured again."""
PARTS: Mapping[str, Callable[[Bench], Any]] = {
    "per_image": correlation.per_image,
    "per_user": correlation.per_user,
    "of_systems": correlation.of_systems,
    "dose": dose.response,
    "ladders": ladders.climb,
    "identical": nulls.identical,
    "identical_mixed": nulls.identical_mixed,
    "differing_by_prompt": nulls.differing_by_prompt,
    "identical_sets": nulls.identical_sets,
    "coverage": nulls.coverage,
    "coverage_of_sets": nulls.coverage_of_sets,
    "sizes": sizes.curves,
    "leakage": leakage.dials,
}


def validate(
    suite: Suite,
    folder: Path,
    metrics: Sequence[str],
    *,
    runs: Mapping[str, Run] | None = None,
    scale: Scale | None = None,
    log: Said = lambda _: None,
) -> Result:
    """Validates metrics on a suite that knows the truth. The same call again continues; what is kept is not repeated.

    Args:
        folder: where systems, their scores and measured parts are kept.
        metrics: names; those that cannot be computed are left out and listed, `utility` must be among them.
        runs: real runs of the suite by their labels, for the ranking of methods; copies of them are scored for all
            metrics.
        log: is told in one line what begins.

    Returns:
        Plain data: the parts, what is required and whether it holds.

    Raises:
        PrefbenchError: the suite knows no truth, or has too little for the scale.
    """
    bench = Bench(suite, folder, metrics, _fitting(suite, scale or Scale()), log)
    bench.prepare()
    fingerprint = f"{_REVISION} {bench.fingerprint}"
    parts = {name: _part(name, part, bench, fingerprint) for name, part in PARTS.items()}
    if runs:
        parts["of_runs"] = correlation.of_runs(bench.with_all_metrics(runs), bench)
    return {
        "suite": suite.card.name,
        "suite_digest": suite.digest,
        "scale": asdict(bench.scale),
        "metrics": {name: _card(bench, name) for name in bench.cards},
        "left_out": dict(bench.left_out),
        "parts": parts,
        "requirements": requirements(parts),
        "versions": versions(),
        "hardware": hardware(),
        **code_state(),
    }


def _fitting(suite: Suite, scale: Scale) -> Scale:
    """The scale for as many users as there are."""
    if suite.truth is None:
        raise PrefbenchError(f"validating needs a suite that knows the truth; {suite.card.name} does not")
    pool = min(scale.pool_users, len(suite.users("train")))
    return replace(scale, pool_users=pool)


def _card(bench: Bench, name: str) -> Result:
    card = bench.cards[name]
    recipe = bench.run(bench.systems.middle).recipes().get(name, card.id)
    kept = {"direction": card.direction, "unit": card.unit, "question": card.question, "recipe": recipe}
    return kept | {"default": name in bench.suite.card.metrics}


def _part(name: str, measure: Callable[[Bench], Any], bench: Bench, fingerprint: str) -> Any:
    path = bench.folder / "parts" / f"{name}.json"
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["of"] == fingerprint:
            return kept["found"]
    bench.said(f"measure {name.replace('_', ' ')}")
    # Through JSON and back, so that a continued validation ends with the same data as an undisturbed one.
    text = json.dumps({"of": fingerprint, "found": measure(bench)})
    write_atomic(path, text)
    return json.loads(text)["found"]


def requirements(parts: Mapping[str, Any]) -> list[Result]:
    """Everything that is required, what was found, and whether it holds: None where it could not be told."""
    rows: list[Result] = list(parts.get("of_runs", {}).get("required", []))
    for name, found in {**parts["identical"], **parts["identical_sets"]}.items():
        rows.append(_rate_in_band(name, found, parts["identical_mixed"].get(name, {})))
    for name, found in {**parts["coverage"], **parts["coverage_of_sets"]}.items():
        what = f"{name}: 95 % intervals hold the mean in at least {nulls.WANTED_COVERAGE:.0%} of samples"
        rows.append({"what": what, "found": found["rate"], "passed": nulls.within(found, nulls.WANTED_COVERAGE, 1.0)})
    for row in parts["ladders"]["rows"]:
        if row["claim"] != "none":
            from_ = "" if row["against"] == MIDDLE else f", from strength {row['against']:g}"
            what = f"{row['metric']}: must {row['claim']} under {row['nuisance']}{from_}"
            passed = {"holds": True, "fails": False}.get(row["verdict"])
            rows.append({"what": what, "found": row["effects"][-1]["value"], "passed": passed})
    found = parts["dose"][UTILITY]
    rows.append({"what": f"{UTILITY}: rises with strength", "found": found["spearman"], "passed": found["monotone"]})
    return rows


def _rate_in_band(name: str, plain: Result, mixed: Result) -> Result:
    """False positives; where differences rest on too few users, never too many, and enough of them among copies."""
    low, high = nulls.WANTED_RATE
    rare = mixed and (plain["rests_on"] or 0) < nulls.FEWEST
    judged, where = (mixed, ", half of the pictures copies") if rare else (plain, "")
    what = f"{name}: identical methods differ at p < {ALPHA:g} in {low:.0%} to {high:.0%} of comparisons{where}"
    passed = nulls.within(judged, low, high)
    if rare and nulls.within(plain, 0.0, high) is False:
        passed = False
    return {"what": what, "found": judged["rate"], "passed": passed}

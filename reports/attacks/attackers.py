"""Attackers compared with the best honest method, metric by metric."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from prefbench.api import Estimate, MethodCard, PrefbenchError, ScoredRun, SummaryRow, counted
from prefbench.registry import load, names
from prefbench.run.environment import code_state, versions
from prefbench.stats.paired import paired_difference

from ..shared.audited import stored_outcome
from ..shared.frame import GAP, UTILITY, WIN, is_control
from ..shared.numbers import numbers
from ..shared.paired import on_shared_keys
from ..shared.published import portable
from ..table.compare import ComparedRow, Comparison, compare
from .schema import AttackCell, Attacker, AttackResult, Audited, Best, ColumnDifference, MetricRecord, Outcome

GAIN = 0.05
"""The share of the gap that an attacker must close to be worth catching."""


def attacks(runs: Sequence[ScoredRun], *, date: str | None = None) -> AttackResult:
    """Attackers against the best honest method, in every metric that the runs were scored with.

    Runs that are neither take no row: the frame, and methods under a control. With `prompt-only` and `inferred` among
    the runs the headline is gap-closed, else utility.

    Raises:
        PrefbenchError: no attacker or no honest method among the runs, an unfinished run, runs of other users than the
            first, and what `compare` refuses.
    """
    _check(runs)
    comparison = compare(runs)
    honest = _honest(comparison)
    attackers = {label: attack for label, run in comparison.runs.items() if (attack := attack_of(run))}
    if not honest or not attackers:
        raise PrefbenchError("a table of attacks needs runs of attackers, such as copy, and of honest methods")
    whole = [name for name in comparison.metrics if "/" not in name and not name.startswith(WIN)]
    best = {name: row for name in whole if (row := _best(comparison, honest, name)) is not None}
    spec = runs[0].spec
    return {
        "suite": spec["suite"],
        "suite_digest": spec["suite_digest"],
        "split": spec["split"],
        "backbone": spec["backbone"],
        "backbone_digest": spec["backbone_digest"],
        "seed": spec["seed"],
        "users": spec["users"],
        "samples_per_case": spec["samples_per_case"],
        "steps": spec["steps"],
        "guidance": spec["guidance"],
        "dtype": spec["dtype"],
        "date": date or datetime.now(UTC).date().isoformat(),
        "code": code_state(),
        "versions": versions(),
        "headline": next((name for name in (GAP, UTILITY) if name in best), None),
        "metrics": {name: _metric(comparison, row) for name, row in best.items()},
        "best": {name: _best_record(row) for name, row in best.items()},
        "honest": honest,
        "attackers": [_attacker(comparison, label, attack, best) for label, attack in attackers.items()],
    }


def attack_of(run: ScoredRun) -> str:
    """How the run's method attacks, and what it picks by; empty for what is no attack.

    Runs that were made before cards stated an attack are classified by the card of the registered method.
    """
    card = run.description["method"]
    attack: str | None = card.get("attack")
    if attack is None and run.spec["method"] in names("method"):
        registered: MethodCard = load("method", run.spec["method"]).card
        attack = registered.attack
    if not attack or run.control is not None:
        return ""
    scorers = ", ".join(card.get("selected_by", ()))
    return f"{attack}, picked by {scorers}" if scorers else attack


def outranking(result: AttackResult) -> list[str]:
    """The attackers that stand above every honest method in the headline, told apart from the best of them or not."""
    if result["headline"] is None:
        return []
    cells = {row["method"]: row["cells"].get(result["headline"]) for row in result["attackers"]}
    return [method for method, cell in cells.items() if cell is not None and cell["verdict"] != "behind"]


def gain(row: Attacker) -> float | None:
    """The share of the gap that an attacker closes; None where it was not measured."""
    cell = row["cells"].get(GAP)
    return None if cell is None else cell["value"]


def uncaught(result: AttackResult) -> list[Attacker]:
    """The attackers that close more than `GAIN` of the gap although no check of their audit failed."""
    audited = [(row, row.get("audit")) for row in result["attackers"]]
    return [row for row, audit in audited if audit and not audit["failed"] and (gain(row) or 0.0) > GAIN]


def outcome(attacker: SummaryRow, best: SummaryRow, difference: Estimate | None) -> Outcome:
    """`beats` where the paired difference's interval lies on the better side of 0.

    Without a difference, as for set-level metrics, where the two intervals do not meet.
    """
    if not _is_above(attacker, best):
        return "behind"
    sign = _sign(best)
    if difference is not None:
        bounds = (difference.low, difference.high)
        return "beats" if None not in bounds and min(sign * b for b in bounds if b is not None) > 0 else "ahead"
    if attacker.low is None or attacker.high is None or best.low is None or best.high is None:
        return "ahead"
    apart = attacker.low > best.high if sign > 0 else attacker.high < best.low
    return "beats" if apart else "ahead"


def _check(runs: Sequence[ScoredRun]) -> None:
    for run in runs:
        if run.undrawn:
            raise PrefbenchError(f"{run.path} is unfinished ({counted(run.undrawn, 'sample')}); run its command again")
        for name in ("users", "samples_per_case"):
            if run.spec[name] != runs[0].spec[name]:
                values = f"{runs[0].spec[name] or 'all'} and {run.spec[name] or 'all'}"
                raise PrefbenchError(f"these runs differ in {name}, {values}: attacks are compared on the same samples")


def _honest(comparison: Comparison) -> list[str]:
    return [label for label, run in comparison.runs.items() if not is_control(run)]


def _best(comparison: Comparison, honest: Sequence[str], metric: str) -> ComparedRow | None:
    """The row of the best honest method, None where none has a value."""
    rows = [row for label in honest if (row := comparison.of(label).get(metric)) is not None]
    valued = [row for row in rows if row.summary.value is not None]
    return max(valued, key=lambda row: (row.summary.value or 0.0) * _sign(row.summary), default=None)


def _best_record(row: ComparedRow) -> Best:
    return {"method": row.label, **numbers(row.summary)}


def _attacker(comparison: Comparison, label: str, attack: str, best: dict[str, ComparedRow]) -> Attacker:
    return {
        "method": label,
        "attack": attack,
        "command": portable(comparison.runs[label].description["command"]),
        "cells": {name: _cell(comparison, label, row) for name, row in best.items()},
        "audit": _audited(comparison.runs[label]),
    }


def _audited(run: ScoredRun) -> Audited | None:
    outcome = stored_outcome(run.path, run.samples)
    return None if outcome is None else {"failed": outcome["failed"], "date": outcome["date"]}


def _cell(comparison: Comparison, label: str, best: ComparedRow) -> AttackCell | None:
    """An attacker's number, its paired difference to the best honest method, the outcome, and whom it stands above."""
    metric = best.summary.metric
    row = comparison.of(label).get(metric)
    if row is None or row.summary.value is None:
        return None
    # The share of the gap is utility on another scale, the same for all: what orders the one orders the other.
    column = UTILITY if metric == GAP else metric
    difference = _difference(comparison, column, label, best.label)
    stored: ColumnDifference | None = None if difference is None else {"of": column, **numbers(difference)}
    honest = {name: comparison.of(name).get(metric) for name in _honest(comparison)}
    return {
        **numbers(row.summary),
        "difference": stored,
        "verdict": outcome(row.summary, best.summary, difference),
        "above": [name for name, other in honest.items() if other and _is_above(row.summary, other.summary)],
    }


def _difference(comparison: Comparison, column: str, label: str, other: str) -> Estimate | None:
    """The paired difference in a per-image or per-user metric; None in a set-level one."""
    own, best = (comparison.runs[name].columns() for name in (label, other))
    if column not in own or column not in best:
        return None
    return paired_difference(*on_shared_keys(own[column].scores, best[column].scores)).estimate


def _is_above(one: SummaryRow, other: SummaryRow) -> bool:
    if one.value is None or other.value is None:
        return False
    return _sign(one) * (one.value - other.value) > 0


def _sign(row: SummaryRow) -> int:
    return 1 if row.direction == "up" else -1


def _metric(comparison: Comparison, best: ComparedRow) -> MetricRecord:
    row, recipes = best.summary, comparison.runs[best.label].recipes()
    return {
        "direction": row.direction,
        "question": row.question,
        "won_by": list(row.won_by),
        "recipe": recipes.get(UTILITY if row.metric == GAP else row.metric),
        "extractor": row.extractor,
    }

"""What the page says before any picture is looked at: runs, tables, metrics, numbers, what the audit found."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prefbench.api import ALL, MetricCard, PrefbenchError, ScoredRun, SuiteCard, SummaryRow
from prefbench.registry import load, load_class, names
from prefbench.stats.paired import adjusted, paired_difference
from prefbench.stats.rules import interval_sentence, p_sentence

from ..shared.audited import stored_outcome
from ..shared.cells import ALIKE, ARROWS, FEW, FEW_GROUPS, FOREIGN, UNRANKED, USERS_ONLY, WON, metric_name
from ..shared.frame import GAP, headlines, is_control
from ..shared.meaning import metric_card
from ..shared.notes import cut_note, drawn_lines, interval_notes, legend, unpaired_note
from ..shared.paired import on_shared_keys
from ..table.admitted import admission_lines
from ..table.compare import ComparedRow, Comparison
from ..table.compared_cells import gap_lines, win_lines
from ..table.described import described, page_tables
from ..table.grids import gap_notes, ranked_first, smallest, unpaired_of
from ..validation.unmet import unmet_notes

_MARKS = (WON, UNRANKED, FOREIGN, USERS_ONLY, FEW_GROUPS, f"{ALIKE} ", f"{FEW}:")


def run_rows(runs: Mapping[str, ScoredRun], block: int) -> list[dict[str, Any]]:
    """One entry a run."""
    return [_run(label, run, block) for label, run in runs.items()]


def _run(label: str, run: ScoredRun, block: int) -> dict[str, Any]:
    about, n = described(label, run), len(run.samples)
    return {
        "label": label,
        "method": run.method,
        "control": run.control,
        "ranked": not is_control(run),
        "summary": _summary(run),
        "folder": run.path.name,
        "settings": about.settings,
        "command": about.command,
        "versions": about.versions,
        "hardware": about.hardware,
        "n": n,
        "failed": sum(sample.image is None for sample in run.samples),
        "undrawn": run.undrawn,
        "scored": bool(run.headers),
        "blocks": -(-n // block),
        "cost": asdict(run.cost()) if run.headers else {},
        "notes": [*gap_notes(run), *drawn_lines(run)] if run.headers else gap_notes(run),
        "audit": _audit(run),
    }


def _summary(run: ScoredRun) -> str:
    """What the card of a registered method says that it does; empty for any other."""
    return str(load("method", run.spec["method"]).card.summary) if run.spec["method"] in names("method") else ""


def _audit(run: ScoredRun) -> dict[str, Any] | None:
    try:
        outcome = stored_outcome(run.path, run.samples)
    except PrefbenchError as error:
        finding = {"name": "audit.json", "status": "failed", "text": str(error)}
        nothing = {"failed": True, "warned": False, "checks": 0, "date": "", "failed_before": 0, "fresh": None}
        return {**nothing, "findings": [finding]}
    if outcome is None:
        return None
    named = {"failed": outcome["failed"], "warning": outcome["warned"]}
    bad = [{"name": name, "status": status, "text": ""} for status, some in named.items() for name in some]
    kept = [{"name": f["check"], "status": _STATUS[f["outcome"]], "text": f["detail"]} for f in outcome["findings"]]
    fresh = {"users": outcome["fresh_users"], "text": outcome["fresh"]}
    return {
        "failed": bool(outcome["failed"]),
        "warned": bool(outcome["warned"]),
        "checks": outcome["checks"],
        "date": outcome["date"],
        "failed_before": outcome["failed_before"],
        "fresh": fresh if outcome["fresh_users"] else None,
        "findings": kept or bad,
    }


_STATUS = {"ok": "passed", "warning": "warning", "FAILED": "failed", "not applicable": "skipped"}


def suite_of(runs: Sequence[ScoredRun]) -> dict[str, Any]:
    """The suite by name, with what its card says where it is registered."""
    spec = runs[0].spec
    card: SuiteCard | None = load("suite", spec["suite"]).card if spec["suite"] in names("suite") else None
    kinds = {} if card is None else dict(card.kinds)
    return {"name": spec["suite"], "split": spec["split"], "summary": card.summary if card else "", "kinds": kinds}


def compared(comparison: Comparison) -> dict[str, Any]:
    """Tables, metrics and numbers of compared runs."""
    labels = list(comparison.runs)
    first = [comparison.ranked_by] if comparison.ranked_by else []
    shown = headlines({name: _first(comparison, name).question for name in comparison.metrics})
    baseline = next((label for label in labels if _is_baseline(comparison, label)), None)
    return {
        "tables": [asdict(table) for table in page_tables(comparison)],
        "metrics": [_metric(comparison, name) for name in comparison.metrics],
        "values": [_value(comparison, labels.index(row.label), row) for row in comparison.rows],
        "order": [labels.index(label) for group in ranked_first(comparison) for label in group],
        "baseline": baseline,
        "headline": list(dict.fromkeys([*first, *shown])),
        "warnings": _warnings(comparison),
        "rivals": _rivals(comparison),
        "family": comparison.family,
        "interval": interval_sentence(),
        "p": p_sentence(),
    }


def uncompared() -> dict[str, Any]:
    """The same of runs that are not scored yet."""
    names_of_lists = ("tables", "metrics", "values", "order", "headline", "warnings", "rivals")
    lists: dict[str, Any] = {name: [] for name in names_of_lists}
    return {**lists, "baseline": None, "family": "", "interval": "", "p": ""}


def _warnings(comparison: Comparison) -> list[str]:
    """What to know before any number is believed: the notes of the tables on all that is shown."""
    suite = next(iter(comparison.runs.values())).spec["suite"]
    shown = [name for name in comparison.metrics if "/" not in name]
    return [
        *unmet_notes(suite, shown),
        *admission_lines(comparison),
        *win_lines(comparison, shown),
        *smallest(comparison),
        *gap_lines(comparison),
        *unpaired_note(unpaired_of(comparison)),
        *cut_note(comparison.cut),
    ]


def _rivals(comparison: Comparison) -> list[dict[str, Any]]:
    """The first of the ranked runs minus each other one by the metric of ranks, p adjusted over these after Holm."""
    if len(comparison.ranks) < 2 or comparison.ranked_by is None:
        return []
    first, *others = comparison.ranks
    scores = {label: comparison.runs[label].columns()[comparison.ranked_by].scores for label in comparison.ranks}
    differences = [paired_difference(*on_shared_keys(scores[first], scores[other])) for other in others]
    labels = list(comparison.runs)
    return [
        {
            "first": labels.index(first),
            "run": labels.index(other),
            **{name: getattr(one.estimate, name) for name in ("value", "low", "high", "n_users")},
            "p": p,
        }
        for other, one, p in zip(others, differences, adjusted([one.p_value for one in differences]), strict=True)
    ]


def _is_baseline(comparison: Comparison, label: str) -> bool:
    return any(row.difference is not None and row.baseline == label for row in comparison.rows)


def _first(comparison: Comparison, metric: str) -> SummaryRow:
    return next(row.summary for row in comparison.rows if row.summary.metric == metric)


def _metric(comparison: Comparison, name: str) -> dict[str, Any]:
    rows = [row.summary for row in comparison.rows if row.summary.metric == name and row.summary.kind == ALL]
    row, card = rows[0] if rows else _first(comparison, name), metric_card(name)
    units = {column.unit for run in comparison.runs.values() if (column := run.columns().get(name))}
    return {
        "name": name,
        "shown": metric_name(row, won=False).rstrip(" " + "".join(ARROWS.values())),
        "question": row.question,
        "direction": row.direction,
        "unit": next(iter(units), "set"),
        **_notes(rows),
        "floor": row.floor,
        "crowd": row.crowd,
        "scorer": row.scorer,
        **_card(name, card),
    }


def _notes(rows: Sequence[SummaryRow]) -> dict[str, list[str]]:
    """The lines that begin with a mark, which stands beside the metric's numbers, and the other lines on them."""
    lines = dict.fromkeys([*legend(rows), *interval_notes(rows)])
    marks = [line for line in lines if line.startswith(_MARKS)]
    return {"marks": marks, "notes": [line for line in lines if line not in marks]}


def _card(name: str, card: MetricCard | None) -> dict[str, Any]:
    if card is None or name.startswith(GAP):
        text = "the share of the way from the baseline to the best that the same histories allow" if card else ""
        empty: dict[str, Any] = dict.fromkeys(("scale", "recipe", "card"), "")
        return {**empty, "summary": text, "source": None, "bounds": None}
    text = inspect.getdoc(load_class("metric", card.name)) or ""
    own = name == card.name
    return {
        "scale": card.scale if own else "",
        "summary": card.summary if own else f"a part of {card.name}: {card.summary}",
        "source": card.source,
        "recipe": card.id,
        "bounds": list(card.bounds),
        "card": text,
    }


def _value(comparison: Comparison, run: int, row: ComparedRow) -> dict[str, Any]:
    summary, difference = row.summary, row.difference
    rank = comparison.ranks.get(row.label) if summary.metric == comparison.ranked_by else None
    return {
        "run": run,
        "metric": summary.metric,
        "kind": summary.kind,
        **{name: getattr(summary, name) for name in ("value", "low", "high", "n_users", "n_samples", "missing")},
        "difference": None
        if difference is None
        else {
            "value": difference.value,
            "low": difference.low,
            "high": difference.high,
            "p": row.p_holm if row.p_holm is not None else row.p,
            "users": difference.n_users,
            "to": row.baseline,
        },
        "p": None if difference is not None else row.p_holm if row.p_holm is not None else row.p,
        "unranked": summary.unranked,
        "rank": None if rank is None or summary.kind != ALL else [rank.low, rank.high],
    }

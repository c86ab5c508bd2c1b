"""Material from the committed leaderboard of a suite: what anybody can make again without a single run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.registry import load, names

from ..ablation.report import AblationReport
from ..ablation.schema import AblationResult
from ..leaderboard.entries import GROUP, Entry, difference_of, load_entries, rows_of, summary_of
from ..leaderboard.page import columns_of
from ..shared.copying import COPYING, copying_notes, nearness
from ..shared.frame import BASELINE
from ..shared.labels import shown_name
from ..shared.published import age, results_folder
from ..table.compare import ComparedRow, in_families
from ..table.wins import UNPROVEN, unproven_notes
from .committed_curves import committed_curves
from .material import Material, PairTests, Variants
from .probing import probing_curves

_FAMILY = "Holm over the methods of each metric, not over metrics"


def committed_material(suite: str, results: Path | None = None) -> Material:
    """The material of the committed results of a suite, of the setting that most of them have.

    Raises:
        PrefbenchError: no results folder, or none of this suite in it; a result that cannot be read.
    """
    results = results or results_folder()
    entries = load_entries(results / "leaderboard")
    if suite not in {entry["suite"] for entry in entries}:
        raise PrefbenchError(unknown("suite with committed results", suite, sorted({e["suite"] for e in entries})))
    entries = _alike([entry for entry in entries if entry["suite"] == suite])
    by_label = {_label(entry): entry for entry in _listed(entries)}
    rows = [row for label, entry in by_label.items() for row in _rows(label, entry)]
    rows = in_families(rows, by_metric=True)
    near = {label: nearness(rows_of(entry)) for label, entry in by_label.items()}
    unbeaten = {label: entry.get("unbeaten", []) for label, entry in by_label.items()}
    first = entries[0]
    curves, lacking = committed_curves(suite, first["suite_digest"])
    probed, unprobed = probing_curves({label: _weights(entry) for label, entry in by_label.items()})
    variants = _variants(results, first)
    return Material(
        suite=suite,
        split=first["split"],
        backbone=first["backbone"],
        baseline=BASELINE,
        family=_FAMILY,
        rows=rows,
        order=list(by_label),
        ranked=frozenset(label for label, entry in by_label.items() if entry["ranked"]),
        tests=_tests(rows),
        marks={label: UNPROVEN * bool(unbeaten[label]) + COPYING * (near[label] is not None) for label in by_label},
        notes=[*unproven_notes(unbeaten), *copying_notes(near)],
        variants=variants,
        curves=[*curves, *probed],
        left_out=[
            *lacking,
            *unprobed,
            *["ablation: no committed ablation is of this suite"] * (variants is None),
            "pictures: committed results hold no pictures; give runs",
        ],
    )


def _alike(entries: Sequence[Entry]) -> list[Entry]:
    """Those of the setting that most have, of equally many that of the first."""

    def setting(entry: Entry) -> tuple[str, ...]:
        return tuple(str({**entry}[name]) for name in GROUP)

    settings = [setting(entry) for entry in entries]
    commonest = max(settings, key=settings.count)
    return [entry for entry, own in zip(entries, settings, strict=True) if own == commonest]


def _listed(entries: Sequence[Entry]) -> list[Entry]:
    """Ranked ones by the headline, then controls, as the leaderboard lists them."""
    headline = columns_of([rows_of(entry) for entry in entries])[0]

    def place(entry: Entry) -> tuple[bool, float, str]:
        row = rows_of(entry).get(headline)
        return not entry["ranked"], float("inf") if row is None or row.value is None else -row.value, _label(entry)

    return sorted(entries, key=place)


def _label(entry: Entry) -> str:
    return shown_name(entry["method"], entry["control"], entry.get("stated", {}).get("part", ""))


def _rows(label: str, entry: Entry) -> list[ComparedRow]:
    return [
        ComparedRow(label, entry["ranked"], summary_of(row), difference_of(row), row["p"], baseline=row.get("baseline"))
        for row in entry["rows"]
    ]


def _tests(rows: Sequence[ComparedRow]) -> PairTests:
    """Committed results hold each method against the baseline, and no other pair."""
    tested = {
        (row.summary.metric, row.label, row.baseline): row.p_holm
        for row in rows
        if row.difference is not None and row.p_holm is not None and row.baseline is not None
    }
    return PairTests(tested, _FAMILY, f"committed results hold tests against {BASELINE} alone")


def _weights(entry: Entry) -> Sequence[str]:
    if entry["control"] is not None or entry["method"] not in names("method"):
        return []
    weights: Sequence[str] = load("method", entry["method"]).card.weights
    return weights


def _variants(results: Path, first: Entry) -> Variants | None:
    """The committed ablation on this suite and backbone; a note says where it is of other data than the table."""
    stored = [one for one in AblationReport().committed(results) if _of(one, first)]
    if not stored:
        return None
    one = stored[0]
    notes = [note.strip() for note in [age(one["versions"])] if note]
    if one["suite_digest"] != first["suite_digest"]:
        notes.insert(
            0, f"Measured on an earlier version of {one['suite']} than the other tables: not to be set beside them."
        )
    metrics = one["rows"][0]["metrics"]
    rows = {row.summary.metric: row.summary.direction for row in (r for e in [first] for r in _rows("", e))}
    family = f"Holm over the {len(one['rows']) - 1} variants of each metric"
    return Variants(one["method"], one["rows"], {name: rows.get(name, "") for name in metrics}, family, notes)


def _of(one: AblationResult, first: Entry) -> bool:
    return one["suite"] == first["suite"] and one["backbone"] == first["backbone"]

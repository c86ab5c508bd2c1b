"""The tables of a paper: methods by metrics, by kind of user, differences to the baseline, one method's variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from prefbench.api import ALL, Estimate, SummaryRow
from prefbench.stats.rules import interval_sentence, p_sentence
from prefbench.stats.trust import has_few_groups, is_constant

from ..shared.cells import (
    ALIKE,
    DASH,
    FEW_GROUPS,
    MIXED,
    UNRANKED,
    USERS_ONLY,
    Counts,
    absence,
    counts,
    interval,
    metric_heading,
    metric_name,
    number,
    usual,
)
from ..shared.notes import interval_notes, legend, mixed_note
from ..table.compare import ComparedRow
from ..table.wins import win_notes
from .cited import estimate_of
from .layout import Cell, PaperTable, Row
from .material import ALPHA, Material, Variants
from .setting_off import SetOff, caption, set_off

SIGNIFICANT = "*"
"""Beside a difference whose adjusted p value is under `ALPHA`."""


def tables_of(material: Material, metrics: Sequence[str]) -> tuple[list[PaperTable], list[str]]:
    """Every table that there is something for, the main one first, and a line for each that there is nothing for."""
    made = [main(material, metrics)]
    left_out = []
    if material.kinds:
        made.append(by_kind(material))
    else:
        left_out.append("kinds: the users of these runs are of one kind")
    compared = [name for name in metrics if any(_difference(material, label, name) for label in material.order)]
    if compared:
        made.append(differences(material, compared))
    else:
        left_out.append(f"differences: no run of {material.baseline} stands among these")
    if material.variants is not None and (shown := [m for m in metrics if m in material.variants.rows[0]["metrics"]]):
        made.append(ablation(material.variants, shown))
    return [_once(table) for table in made], left_out


def _once(table: PaperTable) -> PaperTable:
    """The mark of few groups said once where every interval has it."""
    cells = [cell for _, row in table.rows for cell in row if cell.interval]
    if not cells or any(FEW_GROUPS not in cell.marks for cell in cells):
        return table
    sections = [
        [
            (name, tuple(replace(cell, marks=cell.marks.replace(FEW_GROUPS, "")) for cell in row))
            for name, row in section
        ]
        for section in table.sections
    ]
    notes = [
        note.replace(FEW_GROUPS, "All intervals stand on", 1) if note.startswith(FEW_GROUPS) else note
        for note in table.notes
    ]
    return replace(table, sections=sections, notes=notes)


def main(material: Material, metrics: Sequence[str]) -> PaperTable:
    """Methods by metrics: honest ones by rank, then controls."""
    rows = {label: material.of(label) for label in material.order}
    shown = [row.summary for own in rows.values() for name, row in own.items() if name in metrics]
    stands_on = usual(shown)
    ranked = {
        name: {n: rows[n][name].summary for n in material.order if n in material.ranked and name in rows[n]}
        for name in metrics
    }
    chosen = {name: set_off(ranked[name], name, material.tests) for name in metrics}
    sections = [
        [(_named(material, label), tuple(_cell(rows[label].get(m), chosen[m].get(label, "")) for m in metrics))
         for label in material.order if (label in material.ranked) == honest]
        for honest in (True, False)
    ]  # fmt: skip
    controls = " Below the rule stand controls, which are not ranked." if all(sections) else ""
    text = (
        f"{_data(material)}: mean over users with its 95 % interval.{controls} "
        f"{caption(metrics, ranked, material.tests)}"
    )
    own = next((row.summary.extractor for one in rows.values() for row in one.values() if row.summary.extractor), "")
    notes = [*_stands(stands_on), *_apart(rows, metrics, stands_on), *legend(shown)]
    notes += [*win_notes(own, [name for name in metrics if _is_known(name, rows)]), *material.notes]
    return PaperTable("main", text, "method", tuple(_heads(material, metrics)), sections, notes)


def by_kind(material: Material) -> PaperTable:
    """The metric of ranks: kinds of users as rows; honest methods as columns."""
    metric = material.ranked_by
    labels = [label for label in material.order if label in material.ranked]
    kinds = [ALL, *material.kinds]
    cells = {kind: [material.of(label, kind=kind).get(metric) for label in labels] for kind in kinds}
    shown = [row.summary for own in cells.values() for row in own if row is not None]
    users = {
        kind: max((row.summary.n_users for row in own if row is not None), default=0) for kind, own in cells.items()
    }
    rows: list[Row] = [
        (f"{'all users' if kind == ALL else kind} ({users[kind]})", tuple(_cell(row, "") for row in own))
        for kind, own in cells.items()
    ]
    heading = next((metric_heading(r.metric, r.direction, "") for r in shown), metric)
    text = (
        f"{_data(material)}: {heading} by kind of user (number of users), mean with its 95 % interval. Kinds are not "
        "tested against each other, so nothing is set off."
    )
    return PaperTable("kinds", text, "kind", tuple(labels), [rows[:1], rows[1:]], interval_notes(shown))


def differences(material: Material, metrics: Sequence[str]) -> PaperTable:
    """Each method minus the baseline on the same users, prompts and seeds."""
    labels = [n for n in material.order if any(_difference(material, n, m) for m in metrics)]
    found = {(n, m): material.of(n).get(m) for n in labels for m in metrics}
    shown = [row.difference for row in found.values() if row is not None and row.difference is not None]
    stands_on = usual(shown)
    sections = [
        [
            (label, tuple(_difference_cell(found[label, m]) for m in metrics))
            for label in labels
            if (label in material.ranked) == honest
        ]
        for honest in (True, False)
    ]  # fmt: skip
    text = (
        f"{_data(material)}: difference to {material.baseline} for the same users, prompts and seeds, with its 95 % "
        f"interval. {SIGNIFICANT} adjusted p below {ALPHA:g} ({material.family})."
    )
    notes = [*_stands(stands_on), p_sentence(), interval_sentence(), *interval_notes(shown)]
    notes += mixed_note(row.mixed for row in found.values() if row is not None)
    return PaperTable("differences", text, "method", tuple(_heads(material, metrics)), sections, notes)


def ablation(variants: Variants, metrics: Sequence[str]) -> PaperTable:
    """One method's variants, each with its difference to the first; two columns for each metric."""
    rows: list[Row] = []
    for row in variants.rows:
        cells: list[Cell] = []
        for metric in metrics:
            stored = row["metrics"][metric]
            difference = stored.get("difference")
            p_holm = None if difference is None else difference.get("p_holm")
            cells += [
                _estimate_cell(estimate_of(stored)),
                _estimate_cell(difference and estimate_of(difference), p_holm),
            ]
        own, group = row["name"], row["group"]
        rows.append((own if group in ("", own) else f"{group}: {own}", tuple(cells)))
    heads = [f"{part}{metric_heading(m, variants.directions[m], '')}" for m in metrics for part in ("", "Δ ")]
    text = (
        f"Variants of {variants.method}: mean over users, and difference (Δ) to the first row for the same users, "
        f"prompts and seeds, with 95 % intervals. {SIGNIFICANT} adjusted p below {ALPHA:g} ({variants.family})."
    )
    shown = [estimate_of(row["metrics"][metric]) for row in variants.rows for metric in metrics]
    notes = [*_stands(usual(shown)), *interval_notes(shown), *variants.notes]
    return PaperTable("ablation", text, "variant", tuple(heads), [rows[:1], rows[1:]], notes)


def _data(material: Material) -> str:
    return f"{material.suite}, {material.split} users, {material.backbone}"


def _named(material: Material, label: str) -> str:
    return f"{label} {material.marks.get(label, '')}".rstrip()


def _heads(material: Material, metrics: Sequence[str]) -> list[str]:
    """Headings with encoder and direction, and the mark where a control can win."""
    rows = {row.summary.metric: row.summary for row in reversed(material.rows)}
    return [metric_name(rows[name]) if name in rows else name for name in metrics]


def _difference(material: Material, label: str, metric: str) -> Estimate | None:
    row = material.of(label).get(metric)
    return None if row is None else row.difference


def _is_known(name: str, rows: Mapping[str, Mapping[str, ComparedRow]]) -> bool:
    return any(name in own for own in rows.values())


def _cell(row: ComparedRow | None, chosen: SetOff | str) -> Cell:
    if row is None or row.summary.value is None:
        return Cell(absent=DASH if row is None else absence(row.summary))
    summary = row.summary
    marks = UNRANKED * bool(summary.unranked) + MIXED * (row.mixed and row.difference is None)
    how: SetOff | str = chosen if chosen in ("best", "second") else ""
    return _printed(summary, marks, how)


def _difference_cell(row: ComparedRow | None) -> Cell:
    if row is None or row.difference is None:
        return Cell()
    return _estimate_cell(row.difference, row.p_holm, MIXED * row.mixed)


def _estimate_cell(estimate: Estimate | None, p_holm: float | None = None, marks: str = "") -> Cell:
    if estimate is None or estimate.value is None:
        return Cell()
    return _printed(estimate, SIGNIFICANT * (p_holm is not None and p_holm < ALPHA) + marks, "")


def _printed(row: SummaryRow | Estimate, marks: str, how: SetOff | str) -> Cell:
    assert row.value is not None
    few = USERS_ONLY * row.users_only + FEW_GROUPS * has_few_groups(row) + ALIKE * is_constant(row)
    beside = interval(row) if row.low is not None else ""
    return Cell(number(row.value), beside, marks + few, how)  # type: ignore[arg-type]


def _stands(stands_on: Counts) -> list[str]:
    n, missing = stands_on
    return [f"n: {n} samples (users × prompts × samples), {missing} missing, unless a line here says otherwise."]


def _apart(rows: Mapping[str, Mapping[str, ComparedRow]], metrics: Sequence[str], stands_on: Counts) -> list[str]:
    """The metrics that stand on other counts than the table says, with the methods where it is not all."""
    standing: dict[tuple[str, Counts], list[str]] = {}
    for label, own in rows.items():
        for name in (name for name in metrics if name in own):
            about = (counts(own[name].summary), own[name].summary.missing)
            if about != stands_on:
                standing.setdefault((name, about), []).append(label)
    lines = []
    for (name, (n, missing)), labels in standing.items():
        whose = "" if len(labels) == sum(name in own for own in rows.values()) else f" of {', '.join(labels)}"
        lines.append(f"{name}{whose}: n {n}, {missing} missing.")
    return lines

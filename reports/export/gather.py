"""Scored runs gathered into the plain rows that every form is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from prefbench.api import ALL, Grid, ScoredRun, SummaryRow, counted
from prefbench.run.folder import RunFolder

from ..shared.audited import stored_outcome
from ..shared.cells import number
from ..shared.escape import slug
from ..shared.frame import is_control
from ..shared.notes import drawn_lines
from ..table.beside import frame_beside
from ..table.compare import Comparison, compare
from ..table.grids import gap_notes
from ..table.headline import run_headline, runs_headline
from ..table.page import rows_as_csv
from ..table.together import together
from .portable import portable_command, portable_labels, portable_text
from .rows import Export, Plain, RunRows, parsed_time, shown_samples


def gather(runs: Sequence[ScoredRun], pictures: int) -> Export:
    """The runs that belong into one table, each with all of its own samples.

    Args:
        pictures: how many pictures of each run are handed over at most.

    Raises:
        PrefbenchError: a run was not scored, or its scores cannot be relied on.
    """
    for run in runs:
        run.summary()
    kept = together(runs)
    beside = frame_beside(kept[0]) if len(kept) == 1 else []
    comparison = compare(kept, beside=beside, own_samples=True)
    labels = portable_labels(list(comparison.runs))
    names = _names(list(labels.values()))
    exported = [_run(comparison, label, shown, names[shown], pictures) for label, shown in labels.items()]
    spec = kept[0].spec
    suite, split = portable_text(str(spec["suite"])), str(spec["split"])
    return Export(exported, suite, split, _headline(comparison, labels), _relabelled(rows_as_csv(comparison), labels))


def _names(labels: Sequence[str]) -> dict[str, str]:
    """Label to name of a file; numbered where labels would give the same one."""
    names: dict[str, str] = {}
    for label in labels:
        own = slug(label)
        candidates = (own, *(f"{own}-{i}" for i in range(1, len(labels))))
        names[label] = next(name for name in candidates if name not in names.values())
    return names


def _relabelled(text: str, labels: Mapping[str, str]) -> str:
    """A text with labels as they are handed over, and no folder of a machine."""
    for label in sorted(labels, key=len, reverse=True):
        text = text.replace(label, labels[label])
    return portable_text(text)


def _headline(comparison: Comparison, shown: Mapping[str, str]) -> Grid:
    """The headline table; without the line on what a terminal does not show, since every number is handed over."""
    labels = list(comparison.runs)
    grid = run_headline(comparison, labels[0]) if len(labels) == 1 else runs_headline(comparison)
    notes = [_relabelled(note, shown) for note in grid.notes if not note.startswith("Not shown:")]
    sections = [[tuple(_relabelled(cell, shown) for cell in row) for row in rows] for rows in grid.sections]
    return replace(grid, title=_relabelled(grid.title, shown), sections=sections, notes=notes)


def _run(comparison: Comparison, label: str, shown: str, name: str, pictures: int) -> RunRows:
    run = comparison.runs[label]
    environment = run.description.get("environment") or {}
    starts = RunFolder(run.path).starts()
    order = {metric: place for place, metric in enumerate(comparison.metrics)}
    rows = [row.summary for row in comparison.rows if row.label == label]
    rows.sort(key=lambda row: order[row.metric])
    return RunRows(
        label=shown,
        name=name,
        is_control=is_control(run),
        settings=_settings(run.spec),
        command=portable_command(str(run.description.get("command") or "unknown")),
        begun=parsed_time(starts[0].time if starts else None),
        commit=(environment.get("code") or {}).get("commit"),
        versions={name: str(version) for name, version in (environment.get("versions") or {}).items() if version},
        summary=rows,
        cost=asdict(run.cost()),
        worst=[_relabelled(line, {label: shown}) for line in _worst(comparison, label, rows)],
        shown=shown_samples(run.samples, pictures),
        source=run,
    )


def _settings(spec: Mapping[str, Any]) -> dict[str, Plain]:
    """The spec as flat plain data, without folders of a machine."""
    flat: dict[str, Plain] = {}
    for name, value in spec.items():
        values = {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, Mapping) else {name: value}
        for key, one in values.items():
            plain = one is None or isinstance(one, bool | int | float)
            flat[key] = one if plain else portable_text(", ".join(map(str, one)) if isinstance(one, list) else str(one))
    return flat


def _worst(comparison: Comparison, label: str, rows: Sequence[SummaryRow]) -> list[str]:
    run = comparison.runs[label]
    unbeaten = comparison.unbeaten.get(label, [])
    return [
        *gap_notes(run),
        *drawn_lines(run),
        _audit(run),
        *[f"does not beat {' and '.join(unbeaten)}: nothing here shows that it draws for a person"] * bool(unbeaten),
        *_lowest(rows, comparison.ranked_by),
        *_unranked(rows),
    ]


def _audit(run: ScoredRun) -> str:
    """What the last audit of these samples found."""
    outcome = stored_outcome(run.path, run.samples)
    if outcome is None:
        return "not audited"
    if outcome["failed"]:
        return f"fails the audit: {', '.join(outcome['failed'])}"
    warned = f", with warnings: {', '.join(outcome['warned'])}" if outcome["warned"] else ""
    return f"passes the audit{warned}"


def _lowest(rows: Sequence[SummaryRow], metric: str | None) -> list[str]:
    """The kind of users with the lowest value of the metric that ranks; empty for one kind."""
    of_kinds = [row for row in rows if row.metric == metric and row.kind != ALL and row.value is not None]
    if len(of_kinds) < 2:
        return []
    lowest = min(of_kinds, key=lambda row: row.value or 0.0)
    value = f"{number(lowest.value or 0.0)}, {counted(lowest.n_users, 'user')}"
    return [f"lowest {metric} of a kind of user: {lowest.kind} ({value})"]


def _unranked(rows: Sequence[SummaryRow]) -> list[str]:
    reasons = {row.unranked: row.metric for row in reversed(rows) if row.unranked and row.kind == ALL}
    return [f"must not be ranked by {metric}: {reason}" for reason, metric in reasons.items()]

"""The entries of the leaderboard: one run each, as committed JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from prefbench.api import ALL, Estimate, PrefbenchError, ScoredRun, SummaryRow, counted
from prefbench.api.runs import is_given

from ..shared.escape import slug
from ..shared.frame import BASELINE, CEILING, GAIN, UTILITY, is_control, is_plain, own_column, stated_backbone
from ..shared.labels import SAMPLER, label_runs, part_of_frame
from ..shared.notes import drawn_lines
from ..shared.published import portable, read_json
from ..table.compare import Comparison, as_json, compare
from ..table.wins import lacking
from .vouched import Vouched, vouched

GROUP = ("suite", "suite_digest", "split", "backbone", "backbone_digest", "seed", *SAMPLER)
"""Entries that differ in any of these stand in different tables."""


_OF_A_TABLE = ("label", "p_holm", "mixed")
"""Fields of rows that belong to a table, not to a run."""


class Entry(TypedDict):
    """One run: its rows beside the frame, and how it was made."""

    method: str
    method_version: str
    control: str | None
    ranked: bool
    parameters: dict[str, Any]
    command: str
    commit: str | None
    dirty: bool | None
    versions: dict[str, str | None]
    hardware: dict[str, Any]
    suite: str
    suite_digest: str
    suite_parameters: dict[str, Any]
    split: str
    backbone: str
    backbone_digest: str
    seed: int
    steps: int
    guidance: float
    dtype: str
    date: str
    metrics: dict[str, str]
    rows: list[dict[str, Any]]
    cost: dict[str, float | None]
    drawn: NotRequired[list[str]]
    """What somebody should look at before any number; entries that were published before it was there lack it."""
    unbeaten: NotRequired[list[str]]
    """Of the crowd and the own mismatched control those that a method which draws from histories does not beat; entries
    that were published before it was there lack it."""
    vouched: NotRequired[Vouched]
    """What it rests on; entries that were published before it was asked for lack it."""
    stated: NotRequired[Mapping[str, str]]
    """Of given images what their card says: `backbone`, and `part`, what they are in the frame; empty where nothing."""


def entries_of(runs: Sequence[ScoredRun], *, date: str | None = None) -> list[Entry]:
    """The entry of every run, compared with the frame among them.

    Raises:
        PrefbenchError: a run of another split, of only some users or samples, no frame among the runs (`_check_frame`),
            two runs that would share one file, or runs that `compare` refuses.
    """
    for run in runs:
        _check_whole(run)
    _check_frame(runs)
    comparison = compare(runs, own_samples=True)
    today = date or datetime.now(UTC).date().isoformat()
    entries = [_entry(comparison, label, run, today) for label, run in comparison.runs.items()]
    for label, entry in zip(comparison.runs, entries, strict=True):
        entry["vouched"] = vouched(comparison.runs, label)
    paths = [path_of(entry) for entry in entries]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise PrefbenchError(f"two of these runs would both be published as {twice.name}; publish one of them")
    return entries


def path_of(entry: Entry) -> Path:
    """The entry's file below the leaderboard's folder: `<suite>/<method>.json`, `<suite>/<method>.<control>.json`."""
    names = [slug(name) for name in (entry["method"], entry["control"]) if name]
    return Path(slug(entry["suite"])) / f"{'.'.join(names)}.json"


def paths_in(folder: Path, entries: Sequence[Entry]) -> list[Path]:
    """The files of entries below a folder that may hold others: entries of other data never give way to them.

    Folders of pictures share names. So the data that a name stood for first have `<suite>/`, all others of that name
    `<suite>-<eight digits of their digest>/`.
    """
    return [folder / _home(folder, entry) / path_of(entry).name for entry in entries]


def _home(folder: Path, entry: Entry) -> Path:
    usual = path_of(entry).parent
    digests = read_json(list((folder / usual).glob("*.json")), itemgetter("suite_digest"), "result")
    return usual if {*digests} <= {entry["suite_digest"]} else Path(f"{usual}-{entry['suite_digest'][:8]}")


def load_entries(folder: Path) -> list[Entry]:
    """Every committed entry, by path. Raises `PrefbenchError` naming the file that cannot be read."""

    def parse(content: Entry) -> Entry:
        rows_of(content)
        return content

    return read_json(list(folder.glob("*/*.json")), parse, "result")


def rows_of(entry: Entry) -> dict[str, SummaryRow]:
    """The rows over all users, by metric."""
    return {row["metric"]: summary_of(row) for row in entry["rows"] if row["kind"] == ALL}


def summary_of(row: Mapping[str, Any]) -> SummaryRow:
    """A stored row, without its difference. One that was published before a field was there lacks it."""
    stored = {field.name: row[field.name] for field in fields(SummaryRow) if field.name in row}
    return SummaryRow(**{**stored, "won_by": tuple(row["won_by"])})


def difference_of(row: Mapping[str, Any]) -> Estimate | None:
    """The difference of a stored row to the baseline, where there is one."""
    if row["difference"] is None:
        return None
    names = ("difference", "difference_low", "difference_high", "difference_n_users", "n_prompts")
    counts = ("difference_n_samples", "difference_missing", "n_pairs")
    difference = Estimate(*(row.get(name, 0) for name in (*names, *counts)))
    return replace(difference, users_only=bool(row.get("difference_users_only")), shared=row.get("shared"))


def _check_whole(run: ScoredRun) -> None:
    if run.undrawn:
        raise PrefbenchError(f"{run.path.name} is unfinished ({counted(run.undrawn, 'sample')}); run its command again")
    if run.spec["split"] != "test" or run.spec["users"] is not None:
        part = f"the split {run.spec['split']}, users {run.spec['users'] or 'all'}"
        raise PrefbenchError(f"the leaderboard shows all users of the split test; {run.path.name} is of {part}")


def _check_frame(runs: Sequence[ScoredRun]) -> None:
    """Where the truth is known the frame is baseline and ceiling; elsewhere the baseline, the crowd, and of each method
    that draws from histories its mismatched control, beside which nothing tells what is personal.

    Given images have utility where the truth is known, and no share of a gap: they need no frame there.
    """
    if any(UTILITY in run.recipes() for run in runs):
        drawn = [run for run in runs if not is_given(run.spec)]
        if drawn and any(not any(is_plain(run, name) for run in runs) for name in (BASELINE, CEILING)):
            raise PrefbenchError(f"publishing needs one run each of {BASELINE} and {CEILING} among the runs")
        return
    by_label = dict(zip(label_runs(runs), runs, strict=True))
    if missing := lacking(by_label, by_label):
        listed = "; ".join(f"{name} ({command})" for name, command in missing.items())
        raise PrefbenchError(f"where no truth is known, publishing needs among the runs {listed}")
    for label, run in by_label.items():
        if own_column([run.columns()]) is None:
            raise PrefbenchError(f"{label} lacks the headline {GAIN}: prefbench score {run.path} --metrics {GAIN}")


def _stated(run: ScoredRun) -> dict[str, Any]:
    stated = {"backbone": stated_backbone(run), "part": part_of_frame(run)}
    return {"stated": stated} if is_given(run.spec) else {}


def _entry(comparison: Comparison, label: str, run: ScoredRun, date: str) -> Entry:
    spec, environment = run.spec, run.description["environment"]
    rows: list[dict[str, Any]] = as_json([row for row in comparison.rows if row.label == label])
    settings: Mapping[str, Any] = {name: spec[name] for name in (*GROUP, "suite_parameters")}
    content: Any = {
        "method": run.method,
        "method_version": spec["method_version"],
        "control": run.control,
        "ranked": not is_control(run),
        "parameters": dict(spec["parameters"]),
        "command": portable(run.description["command"]),
        **environment["code"],
        "versions": environment["versions"],
        "hardware": environment["hardware"],
        **settings,
        "date": date,
        "metrics": dict(run.recipes()),
        "rows": [{name: value for name, value in row.items() if name not in _OF_A_TABLE} for row in rows],
        "cost": asdict(run.cost()),
        "drawn": drawn_lines(run),
        **_stated(run),
        "unbeaten": comparison.unbeaten.get(label, []),
    }
    entry: Entry = content
    return entry

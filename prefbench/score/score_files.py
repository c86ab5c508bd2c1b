"""Scores and the summary as a run folder stores them: `scores/<metric>.jsonl` and `summary.json`."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.api import Cost, DrawnCounts, FloatArray, PrefbenchError, Sample, ScoreHeader, ScorerRecord, SummaryRow
from prefbench.files import read_plain, write_atomic
from prefbench.run import tables
from prefbench.run.collection import seldom_collected
from prefbench.run.folder import RunFolder
from prefbench.run.journal import Owner
from prefbench.run.lines import encoded, fault, parse
from prefbench.run.row_kinds import PROFILES, SAMPLES
from prefbench.run.stamps import stamped, unstamped
from prefbench.score.score_columns import FilledColumn, Places
from prefbench.score.score_rows import ScoreRow, figures_adapter, header_adapter, rows_adapter
from prefbench.score.sets import SET_KEY
from prefbench.stats import VERSION

if TYPE_CHECKING:
    from pydantic import TypeAdapter

logger = logging.getLogger(__name__)
_SUMMARY_BYTES = 2**28
_COSTS = ("seconds", "nfe")
_AT_ONCE = 1000
_DECIDING = tuple(name for name in SAMPLES.names if name not in _COSTS)


@dataclass(frozen=True)
class StoredScores:
    """The scores of one metric: header and rows in the order of the file."""

    header: ScoreHeader
    rows: Sequence[ScoreRow]


@dataclass(frozen=True)
class StoredSummary:
    """The content of `summary.json` beside the spec."""

    digest: str
    """`summary_digest` of what the rows were computed from; empty in folders of version 0.1, which stored none."""
    cost: Cost
    rows: Sequence[SummaryRow]
    drawn: DrawnCounts | None = None
    """What was drawn; None in older folders."""
    statistics: str = VERSION
    """The version of the rules that its intervals follow."""


def read_scores(folder: RunFolder, metric: str) -> StoredScores | None:
    """The scores of one metric, None where it was not scored.

    Raises:
        PrefbenchError: the file is not as it was written, or a row is none.
    """
    header = read_header(folder, metric)
    if header is None:
        return None
    rows = [ScoreRow(**row) for _, some in _stored_rows(folder, metric) for row in some]
    places = {(row.column, row.key) for row in rows}
    if len(places) < len(rows) or (header.unit == "set" and SET_KEY not in {row.key for row in rows}):
        what = "has a row twice" if len(places) < len(rows) else f"lacks the row {SET_KEY!r}"
        raise PrefbenchError(f"{folder.score_path(metric)} {what}; {_advice(folder)}")
    return StoredScores(header, rows)


@seldom_collected()
def read_columns(folder: RunFolder, metric: str, places: Mapping[str, int]) -> dict[str, FloatArray]:
    """The columns of a metric that was scored, each float64 (N,) with NaN where there is no value.

    Args:
        places: of each key its place in a column, 0 to N - 1.

    Raises:
        PrefbenchError: as `read_scores` does; a row is of no such key, or there twice.
    """
    columns: dict[str, FilledColumn] = {}
    known = Places(places)
    for first, rows in (part for part in _stored_rows(folder, metric) if part[1]):
        at, names = known.of([row["key"] for row in rows]), [row["column"] for row in rows]
        values = np.array([row["value"] for row in rows], dtype=np.float64)
        for name in dict.fromkeys(names):
            if name not in columns:
                columns[name] = FilledColumn(np.full(len(places), np.nan), np.zeros(len(places), dtype=np.int64))
            mine = np.flatnonzero([one == name for one in names])
            if wrong := columns[name].fill(at[mine], values[mine], first + mine):
                raise PrefbenchError(f"{folder.score_path(metric)} {wrong}; {_advice(folder)}")
    return {name: column.values for name, column in columns.items()}


def _stored_rows(folder: RunFolder, metric: str) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    return tables.read_rows(folder.score_path(metric), rows_adapter(), _advice(folder))


def read_header(folder: RunFolder, metric: str) -> ScoreHeader | None:
    """The header of one metric's scores, None where it was not scored; what it says of its rows is checked.

    Raises:
        PrefbenchError: the file is not as it was written, is another metric's, or its header lacks what decides the
            values.
    """
    from pydantic import ValidationError

    path, advice = folder.score_path(metric), _advice(folder)
    try:
        stored = tables.read_header(path, advice)
    except FileNotFoundError:
        return None
    if stored.format < folder.owner.format:
        raise PrefbenchError(f"{path} carries no digest, as the run's other files do; {advice}")
    try:
        header = _header(stored.content)
    except ValidationError as error:
        raise PrefbenchError(f"{path} line 1 is no header of scores ({fault(error)}); {advice}") from None
    if header.metric != metric and not header.metric.startswith(f"{metric}@"):
        raise PrefbenchError(f"{path} holds the scores of {header.metric.partition('@')[0]}, not of {metric}; {advice}")
    return header


def _header(content: Mapping[str, Any]) -> ScoreHeader:
    """Fields that the header of another version lacks or has besides are left at their defaults, or out."""
    scorer = content.get("scorer")
    if isinstance(scorer, Mapping):
        content = {**content, "scorer": ScorerRecord.today(scorer)}
    header = header_adapter().validate_json(json.dumps(content))
    if header.scorer is not None and header.scorer.figures is not None:
        figures_adapter().validate_python(header.scorer.figures)
    return header


def is_current(folder: RunFolder, metric: str, header: ScoreHeader) -> bool:
    """Whether sound scores with this header are stored; what else is there is not worth keeping."""
    try:
        stored = read_header(folder, metric)
    except PrefbenchError as error:
        logger.warning("%s is scored again: %s", metric, error)
        return False
    return stored is not None and replace(stored, texts=None).to_json() == header.to_json()


def _advice(folder: RunFolder) -> str:
    return f"prefbench score {folder.path}"


def write_scores(folder: RunFolder, metric: str, scores: StoredScores) -> None:
    """Writes the scores of one metric, whole or not at all. Raises `PrefbenchError` for what no row can hold."""
    rows = [row.to_json() for row in scores.rows]
    refusal = f"{metric} cannot be stored"
    parse(rows_adapter(), [encoded(row) for row in rows], path=folder.score_path(metric), first=2, advice=refusal)
    folder.write_scores(metric, scores.header.to_json(), rows)


def samples_digest(samples: Sequence[Sample]) -> str:
    """Changes whenever the set of samples, any image, or what is known of any sample does but its cost."""
    starts = range(0, len(samples), _AT_ONCE)
    rows = sorted(row for start in starts for row in _as_json(samples[start : start + _AT_ONCE]))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _as_json(samples: Sequence[Sample]) -> list[str]:
    """What decides of each sample, as JSON: all in one call, which takes half the time, with an empty text between.

    No text of a row can hold what it is split at: there a quotation mark stands behind a backslash.
    """
    content = [part for row in map(attrgetter(*_DECIDING), samples) for part in (row, "")]
    return [f"[{row}]" for row in json.dumps(content)[2 : -len('], ""]')].split('], "", [')]


def samples_digests(samples: Sequence[Sample], owner: Owner) -> Sequence[str]:
    """The digests that scores of these samples may name: in a folder of format 1 also that of keys and images alone."""
    if owner.format > 1:
        return (samples_digest(samples),)
    rows = sorted(f"{sample.key} {sample.image}" for sample in samples)
    return (hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16], samples_digest(samples))


def summary_digest(
    folder: RunFolder, description: Mapping[str, Any], samples: Sequence[Sample], of_samples: str
) -> str:
    """Changes whenever anything does that a summary is computed from.

    That is the samples, the bytes of all scores, what samples and profiles cost, and of the description what rows
    depend on: kinds of users, how many samples are planned, the method's card. `of_samples` is the first of their
    `samples_digests`.
    """
    hashed = hashlib.sha256(of_samples.encode())
    about = {name: description[name] for name in ("kinds", "planned", "method")}
    hashed.update(json.dumps(about, sort_keys=True).encode())
    for metric in folder.scored():
        hashed.update(f"\n{metric} ".encode())
        hashed.update(hashlib.sha256(read_plain(folder.score_path(metric))).digest())
    if folder.owner.format > 1:
        costs = sorted(f"{sample.key} {sample.seconds} {sample.nfe}" for sample in samples)
        hashed.update("\n".join(costs).encode())
        hashed.update(b"".join(encoded(PROFILES.plain(row)) for row in folder.profiles().values()))
    return hashed.hexdigest()[:16]


def write_summary(folder: RunFolder, spec: Mapping[str, Any], summary: StoredSummary) -> None:
    """Writes `summary.json`, whole or not at all."""
    rows = [asdict(row) for row in summary.rows]
    drawn = {} if summary.drawn is None else {"drawn": asdict(summary.drawn)}
    made_by = {"digest": summary.digest, "statistics": summary.statistics}
    content = {**made_by, "spec": dict(spec), "cost": asdict(summary.cost), **drawn, "rows": rows}
    write_atomic(folder.path / "summary.json", json.dumps(stamped(content), indent=1) + "\n")


def read_summary(folder: RunFolder) -> StoredSummary | None:
    """The stored summary, None where there is none or it is not as it was written.

    Fields that older ones lack get defaults.

    Raises:
        PrefbenchError: it is of a later format.
    """
    path = folder.path / "summary.json"
    try:
        content = unstamped(path, read_plain(path, _SUMMARY_BYTES))
        if content["format"] < folder.owner.format:
            return None
        cost = dict(content["cost"])
        cost.setdefault("nfe_per_image", cost.pop("evaluations_per_image", None))  # its name in version 0.1
        made_by = {"digest": content.get("digest", ""), "statistics": content.get("statistics", "1")}
        stored = {**made_by, "cost": cost, "rows": content["rows"], "drawn": content.get("drawn")}
        return _summary_adapter().validate_json(json.dumps(stored))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


@cache
def _summary_adapter() -> TypeAdapter[StoredSummary]:
    from pydantic import TypeAdapter

    return TypeAdapter(StoredSummary)

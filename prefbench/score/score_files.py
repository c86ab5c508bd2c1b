"""Scores and the summary as a run folder stores them: `scores/<metric>.jsonl` and `summary.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from prefbench.api import Cost, DrawnCounts, PrefbenchError, Sample, ScoreHeader, SummaryRow
from prefbench.api.records import record_of
from prefbench.files import write_atomic
from prefbench.run.folder import RunFolder


class ScoreRow(NamedTuple):
    """One stored value. `key` is a sample's key, a user, or a key of a set-level value (`score.sets`)."""

    key: str
    column: str
    value: float | None
    n: int | None = None
    """The number of images behind a set-level value."""

    def to_json(self) -> dict[str, Any]:
        """The row as a line of the file; without `n` where there is none."""
        return {name: value for name, value in self._asdict().items() if name != "n" or value is not None}


@dataclass(frozen=True)
class StoredScores:
    """The scores of one metric: header and rows in the order of the file."""

    header: ScoreHeader
    rows: Sequence[ScoreRow]

    def columns(self) -> dict[str, dict[str, float | None]]:
        """Column name to key to value, both in the order of the rows."""
        columns: dict[str, dict[str, float | None]] = {}
        for row in self.rows:
            columns.setdefault(row.column, {})[row.key] = row.value
        return columns


@dataclass(frozen=True)
class StoredSummary:
    """The content of `summary.json` beside the spec."""

    digest: str
    """`summary_digest` of what the rows were computed from; empty in folders of version 0.1, which stored none."""
    cost: Cost
    rows: Sequence[SummaryRow]
    drawn: DrawnCounts | None = None
    """What was drawn; None in older folders."""


def read_scores(folder: RunFolder, metric: str) -> StoredScores | None:
    """The scores of one metric, None where it was not scored.

    Raises:
        PrefbenchError: the header lacks what decides the values.
    """
    content = folder.scores(metric)
    if content is None:
        return None
    header, lines = content
    rows = [ScoreRow(line["key"], line["column"], line["value"], line.get("n")) for line in lines]
    return StoredScores(_header(folder, metric, header), rows)


def read_header(folder: RunFolder, metric: str) -> ScoreHeader | None:
    """The header of one metric's scores without reading the rows, None where it was not scored."""
    content = folder.score_header(metric)
    return None if content is None else _header(folder, metric, content)


def _header(folder: RunFolder, metric: str, content: Mapping[str, Any]) -> ScoreHeader:
    try:
        return ScoreHeader.from_json(content)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{folder.path}: the header of the scores of {metric} is damaged ({error})"
        raise PrefbenchError(f"{message}; prefbench score {folder.path}") from error


def write_scores(folder: RunFolder, metric: str, scores: StoredScores) -> None:
    """Writes the scores of one metric, whole or not at all."""
    folder.write_scores(metric, scores.header.to_json(), [row.to_json() for row in scores.rows])


def samples_digest(samples: Sequence[Sample]) -> str:
    """Changes whenever the set of samples or any image does; scores are of the samples with their digest."""
    rows = sorted(f"{sample.key} {sample.image}" for sample in samples)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def summary_digest(folder: RunFolder, description: Mapping[str, Any], samples: str) -> str:
    """Changes whenever anything does that a summary is computed from; `samples` is their digest.

    That is, beside the samples, the bytes of all scores, and of the description what rows depend on: kinds of users,
    how many samples are planned, the method's card.
    """
    hashed = hashlib.sha256(samples.encode())
    about = {name: description[name] for name in ("kinds", "planned", "method")}
    hashed.update(json.dumps(about, sort_keys=True).encode())
    for metric in folder.scored():
        hashed.update(f"\n{metric} ".encode())
        hashed.update(hashlib.sha256(folder.score_path(metric).read_bytes()).digest())
    return hashed.hexdigest()[:16]


def write_summary(folder: RunFolder, spec: Mapping[str, Any], summary: StoredSummary) -> None:
    """Writes `summary.json`, whole or not at all."""
    rows = [asdict(row) for row in summary.rows]
    drawn = {} if summary.drawn is None else {"drawn": asdict(summary.drawn)}
    content = {"digest": summary.digest, "spec": dict(spec), "cost": asdict(summary.cost), **drawn, "rows": rows}
    write_atomic(folder.path / "summary.json", json.dumps(content, indent=1) + "\n")


def read_summary(folder: RunFolder) -> StoredSummary | None:
    """The stored summary, None where there is none or it cannot be read. Fields that older ones lack get defaults."""
    try:
        content = json.loads((folder.path / "summary.json").read_text(encoding="utf-8"))
        cost = dict(content["cost"])
        cost.setdefault("nfe_per_image", cost.pop("evaluations_per_image", None))  # its name in version 0.1
        rows = [record_of(SummaryRow, row) for row in content["rows"]]
        drawn = DrawnCounts.from_json(content["drawn"]) if "drawn" in content else None
        return StoredSummary(content.get("digest", ""), record_of(Cost, cost), rows, drawn)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None

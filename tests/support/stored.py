"""Run folders by hand: a whole spec, stored scores as plain data, files written anew as prefbench would have."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from prefbench.api import Sample
from prefbench.run.folder import RunFolder
from prefbench.run.row_kinds import ProfileRow
from prefbench.score.score_files import read_scores

SPEC: Mapping[str, Any] = {
    "suite": "toy", "suite_parameters": {}, "suite_digest": "d" * 64, "split": "test", "method": "m",
    "method_version": "1", "parameters": {}, "control": None, "backbone": "tiny", "backbone_digest": "b" * 64,
    "steps": 2, "guidance": 1.0, "dtype": "float32", "seed": 0, "samples_per_case": 2, "users": None, "batch": 4,
}  # fmt: skip
"""What every `run.json` holds."""


def scores_of(folder: RunFolder, metric: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and rows of a metric, as `RunFolder.write_scores` takes them."""
    stored = read_scores(folder, metric)
    assert stored is not None
    return stored.header.to_json(), [row.to_json() for row in stored.rows]


def describe(folder: RunFolder, content: Mapping[str, Any]) -> None:
    """Another `run.json`, with the rows that such a run would have written."""
    samples, profiles = folder.samples(), folder.profiles()
    folder.write_description(content)
    rewrite_samples(folder, list(samples.values()))
    (folder.path / "profiles.jsonl").unlink(missing_ok=True)
    for row in profiles.values():
        folder.append_profile(row)


def rewrite_samples(folder: RunFolder, samples: Sequence[Sample]) -> None:
    """Other samples, as if they had been drawn."""
    shutil.rmtree(folder.path / "samples", ignore_errors=True)
    folder.append_samples(samples)


def profile(user: str, history: str, **changes: Any) -> ProfileRow:
    """The row of a profile that cost next to nothing."""
    row: dict[str, Any] = {
        "user": user, "history": history, "seconds": 0.0, "bytes": 0, "trained_parameters": 0, "peak_memory_bytes": 1,
        "status": "ok",
    }  # fmt: skip
    return ProfileRow(**row | changes)

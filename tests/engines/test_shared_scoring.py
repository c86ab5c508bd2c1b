"""Several processes score one run: the rows of one process, and its messages where something cannot be read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import prefbench
from prefbench.api import PrefbenchError
from prefbench.calls import Run
from prefbench.engines.calls_job import CallsEndedError
from prefbench.run.folder import RunFolder
from tests.support.marked_runs import SCORED

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.usefixtures("quick_starts")]
"""Processes are started and finished."""


@pytest.fixture
def unscored(scored: Run, tmp_path: Path) -> Path:
    """The run as it was drawn."""
    path = tmp_path / scored.path.name
    shutil.copytree(scored.path, path)
    for name in ("scores", "features"):
        shutil.rmtree(path / name)
    (path / "summary.json").unlink()
    return path


def scores(path: Path) -> Mapping[str, Any]:
    """Header without the digest of the rows, which hold numbers that differ by rounding, and rows in their order."""
    files = {name: RunFolder(path).score_path(name).read_text().splitlines() for name in SCORED}
    parsed = {name: [json.loads(line) for line in lines] for name, lines in files.items()}
    return {name: [{k: v for k, v in row.items() if k != "digest"} for row in rows] for name, rows in parsed.items()}


def test_two_processes_score_what_one_scores(scored: Run, unscored: Path) -> None:
    shared = prefbench.score(unscored, SCORED, devices="cpu:2")
    expected, found = scores(scored.path), scores(shared.path)
    for name in SCORED:
        one, two = ([row.pop("value", None) for row in rows] for rows in (expected[name], found[name]))
        assert [value is None for value in two] == [value is None for value in one]
        numbers = [value for value in one if value is not None]
        assert [value for value in two if value is not None] == pytest.approx(numbers, rel=1e-5), name
    assert found == expected
    shards = list((unscored / "features").rglob("*.npz"))
    assert len(shards) > len(list((scored.path / "features").rglob("*.npz"))), "nobody extracted anything"


def test_what_cannot_be_read_is_told_as_by_one_process(unscored: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / unscored.name
    shutil.copytree(unscored, other)
    for path in (unscored, other):
        next(iter(sorted((path / "images").rglob("*.png")))).write_bytes(b"no picture")
    one, two = prefbench.score(other, SCORED), prefbench.score(unscored, SCORED, devices="cpu:2")
    assert (one.refused, one.broken) == (two.refused, two.broken)
    said = [[str(scores(run.path)[name][0].get("unread")) for name in SCORED] for run in (one, two)]
    unread = [[text.replace(str(run.path), "") for text in texts] for run, texts in zip((one, two), said, strict=True)]
    assert unread[0] == unread[1]
    assert any("1 of 40 drawn images could not be read" in text for text in unread[0])


def test_a_metric_that_ends_every_worker_is_broken_and_the_others_are_scored(
    unscored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> None:
        raise CallsEndedError("the worker ended 4 times on it: its process ended with exit code 3")

    monkeypatch.setattr("prefbench.engines.shared_scoring.call_each", ended)
    with pytest.raises(PrefbenchError, match="metric 'utility': the worker ended 4 times"):
        prefbench.score(unscored, ["utility"], devices="cpu:2")

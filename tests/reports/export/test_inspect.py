"""Logs of inspect_ai: their schema without the package, and what the package itself reads."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prefbench.api import image_digest
from prefbench.reports.export.inspect_log import InspectLogs
from prefbench.score.scored_folder import ScoredFolder

from .conftest import Write


def logs(folder: Path) -> dict[str, dict[str, Any]]:
    """Label to log; JSON without NaN."""
    parsed = [json.loads(path.read_text(), parse_constant=pytest.fail) for path in folder.iterdir()]
    return {log["eval"]["model"].removeprefix("prefbench/"): log for log in parsed}


def test_the_log_has_the_fields_of_version_two(write: Write) -> None:
    folder = write(InspectLogs())
    log = logs(folder)["ours"]
    assert list(log) == ["version", "status", "eval", "plan", "results", "stats", "invalidated", "samples"]
    assert (log["version"], log["status"]) == (2, "success")
    assert {"created", "task", "dataset", "model", "config"} <= log["eval"].keys()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", path.name) for path in folder.iterdir())
    assert log["results"]["total_samples"] == len(log["samples"]) == 12
    assert log["results"]["completed_samples"] == 8
    assert len({(sample["id"], sample["epoch"]) for sample in log["samples"]}) == 12


def test_numbers_and_scores_are_the_stored_ones(runs: list[ScoredFolder], write: Write) -> None:
    log = logs(write(InspectLogs()))["copy"]
    scores = {score["name"]: score for score in log["results"]["scores"]}
    for row in runs[1].summary():
        metrics = scores[row.metric]["metrics"]
        found = metrics["mean"] if row.kind == "all" else metrics[f"kind: {row.kind}"]
        assert found["value"] == row.value
    values = runs[1].columns()["utility"].scores.values.tolist()
    assert [sample["scores"]["utility"]["value"] for sample in log["samples"]] == values
    assert log["eval"]["tags"] == ["control"]
    assert any("can win" in mark for mark in log["eval"]["metadata"]["marks"])


def test_failed_and_missing_are_told_apart(write: Write) -> None:
    both = logs(write(InspectLogs()))
    failed = [sample for sample in both["ours"]["samples"] if "error" in sample]
    assert {sample["metadata"]["user"] for sample in failed} == {"cyd"}
    assert all(sample["scores"] == {} for sample in failed)
    assert failed[0]["error"]["message"].startswith("OSError: a.bin")
    missing = [sample for sample in both["prompt-only"]["samples"] if not sample["scores"]]
    assert {sample["metadata"]["user"] for sample in missing} == {"bob"}
    assert all("error" not in sample for sample in missing)
    scored = next(score for score in both["prompt-only"]["results"]["scores"] if score["name"] == "utility")
    assert (scored["scored_samples"], scored["unscored_samples"]) == (8, 4)


def test_pictures_are_the_stored_ones_and_bounded(runs: list[ScoredFolder], write: Write) -> None:
    log = logs(write(InspectLogs(pictures=5)))["ours"]
    shown = 0
    for sample, stored in zip(log["samples"], runs[0].samples, strict=True):
        content = sample["messages"][-1]["content"]
        if isinstance(content, list):
            data = base64.b64decode(content[0]["image"].removeprefix("data:image/png;base64,"))
            assert image_digest(Image.open(io.BytesIO(data))) == stored.image
            shown += 1
    assert shown == 5
    assert log["eval"]["metadata"]["pictures left out"] == 3


def test_an_unfinished_run_is_no_success(tmp_path: Path) -> None:
    from prefbench.api import ReportContext
    from tests.support.toy_runs import HISTORIES, build

    run = build(tmp_path / "part", "ours", 0.5, undrawn=3)
    form = InspectLogs()
    form.write(form.measure([run], ReportContext(lambda: HISTORIES)), tmp_path / "out")
    log = logs(tmp_path / "out" / "inspect")["ours"]
    assert (log["status"], log["results"]["total_samples"], len(log["samples"])) == ("cancelled", 15, 12)


@pytest.mark.slow
def test_inspect_reads_the_log(runs: list[ScoredFolder], write: Write) -> None:
    log_module = pytest.importorskip("inspect_ai.log", reason="not installed: pip install 'prefbench[inspect]'")
    folder = write(InspectLogs())
    listed = log_module.list_eval_logs(str(folder))
    assert len(listed) == 3
    by_model = {log.eval.model: log for log in map(log_module.read_eval_log, listed)}
    log = by_model["prefbench/ours"]
    stored = {row.metric: row for row in runs[0].summary() if row.kind == "all"}
    found = {score.name: score.metrics for score in log.results.scores}
    assert found["utility"]["mean"].value == stored["utility"].value
    assert found["utility"]["high"].value == stored["utility"].high
    assert [(s.input, s.metadata["user"]) for s in log.samples] == [(s.prompt, s.user) for s in runs[0].samples]
    assert sum(sample.error is not None for sample in log.samples) == 4

"""Result files of lmms-eval: names, shape and numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prefbench.api import image_digest
from prefbench.reports.export.lmms_results import LmmsResults
from prefbench.score.scored_folder import ScoredFolder

from .conftest import Write

TASK = "prefbench_toy_test"


def results(folder: Path, run: str) -> dict[str, Any]:
    [path] = (folder / run).glob("*_results.json")
    content: dict[str, Any] = json.loads(path.read_text(), parse_constant=pytest.fail)
    return content


def lines(folder: Path, run: str) -> list[dict[str, Any]]:
    [path] = (folder / run).glob(f"*_samples_{TASK}.jsonl")
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]


def test_files_are_named_and_shaped_as_lmms_eval_does(write: Write) -> None:
    folder = write(LmmsResults())
    names = sorted(path.name for path in (folder / "ours").iterdir() if path.is_file())
    assert [re.sub(r"^\d{8}_\d{6}", "T", name) for name in names] == ["T_results.json", f"T_samples_{TASK}.jsonl"]
    content = results(folder, "ours")
    for name in ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "group_subtasks"):
        assert list(content[name]) == [TASK]
    assert {"config", "git_hash", "date", "task_hashes", "model_source", "model_name"} <= content.keys()
    assert content["n-samples"][TASK] == {"original": 12, "effective": 12}
    better = content["higher_is_better"][TASK]
    assert (better["utility"], better["fid"]) == (True, False)
    for line in lines(folder, "ours"):
        assert {"doc_id", "target", "filtered_resps", "doc_hash", "input"} <= line.keys()


def test_numbers_are_the_stored_ones(runs: list[ScoredFolder], write: Write) -> None:
    folder = write(LmmsResults())
    for run in runs:
        numbers = results(folder, run.method)["results"][TASK]
        for row in run.summary():
            if row.kind == "all":
                ends = [numbers[f"{row.metric}{end},none"] for end in ("", "_low", "_high")]
                assert ends == [row.value, row.low, row.high]
        values = run.columns()["utility"].scores.values.tolist()
        stored = [None if value != value else value for value in values]
        assert [line["utility"] for line in lines(folder, run.method)] == stored
    assert results(folder, "copy")["configs"][TASK]["metadata"]["control"] is True
    assert any("can win" in mark for mark in results(folder, "copy")["prefbench"]["marks"])


def test_answers_name_pictures_that_are_there_and_failures_have_none(runs: list[ScoredFolder], write: Write) -> None:
    folder = write(LmmsResults(pictures=6)) / "ours"
    named = 0
    for line, sample in zip(lines(folder.parent, "ours"), runs[0].samples, strict=True):
        about = line["prefbench"]
        assert (about["user"], about["status"], line["input"]) == (sample.user, sample.status, sample.prompt)
        if sample.image is None:
            assert line["filtered_resps"] == ""
            assert about["error"].startswith("OSError: a.bin")
            continue
        for image in json.loads(line["filtered_resps"])["images"]:
            assert image_digest(Image.open(folder / image)) == sample.image
            named += 1
    assert named == 6
    assert results(folder.parent, "ours")["prefbench"]["pictures_left_out"] == 2


def test_a_column_named_as_a_field_replaces_none(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefbench.reports.export.rows import RunRows

    monkeypatch.setattr(RunRows, "columns", property(lambda self: {"input": [0.5] * len(self.source.samples)}))
    assert {type(line["input"]) for line in lines(write(LmmsResults()), "ours")} == {str}

"""From a data set to a leaderboard: converted, checked, drawn for, scored, compared and published, truth unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefbench.check.suite import check_suite
from prefbench.reports.leaderboard.vouched import OF_THE_DATA
from tests.support.hostile import invoke
from tests.support.published_sets import COPIES

METHODS = ("prompt-only", "copy", "crowd")
"""What is published together: where no truth is known a method stands beside the crowd's choice."""
WITHOUT_PROMPTS = {"pamela", "preferimg", "lapis", "flickr-aes"}
"""Data sets that say of no picture what it was drawn for: whoever converts them writes what to draw."""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))


def done(*arguments: object) -> str:
    """What a command prints; it must succeed."""
    result = invoke(*map(str, arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", COPIES)
def test_a_converted_data_set_is_drawn_for_scored_reported_and_published(
    tmp_path: Path, tiny_sd: Path, name: str
) -> None:
    folder, out, results = tmp_path / "mine", tmp_path / "runs", tmp_path / "published" / "results"
    done("convert", name, COPIES[name](tmp_path / "source"), folder, "--accept-licence")
    if name in WITHOUT_PROMPTS:
        (folder / "prompts.txt").write_text("a red cat\na blue dog\n")
    assert [finding for finding in check_suite(str(folder)) if not finding.passed] == []
    for method in METHODS:
        settings = ("--steps", 1, "--samples", 1, "--metrics", "clip-score,personal-gain", "--out", out)
        done("run", "--suite", folder, "--method", method, "--backbone", tiny_sd, "--device", "cpu", *settings)
    runs = sorted(path for path in out.iterdir() if (path / "run.json").exists())
    audited = json.loads(invoke("audit", *map(str, runs), "--suite", str(folder), "--json").stdout)
    honest = [run for run in audited if "-copy-" not in run["run"]]
    assert {one["check"] for run in honest for one in run["findings"] if not one["passed"]} <= {*OF_THE_DATA}
    table = done("report", *runs, "--suite", folder, "--publish", "--results", results)
    assert all(word in table for word in (*METHODS, "personal-gain"))
    assert {path.stem for path in results.rglob("*.json")} == {*METHODS}
    assert "personal-gain" in (results.parent / "leaderboard.md").read_text()

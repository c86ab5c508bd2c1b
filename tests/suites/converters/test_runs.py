"""From a published data set to a report: converted, checked, drawn for, scored and compared, truth unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.check.suite import check_suite
from tests.support.hostile import invoke
from tests.support.published_sets import COPIES

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
def test_a_converted_data_set_is_drawn_for_scored_and_reported(tmp_path: Path, tiny_sd: Path, name: str) -> None:
    folder, out = tmp_path / "mine", tmp_path / "runs"
    done("convert", name, COPIES[name](tmp_path / "source"), folder, "--accept-licence")
    if name in WITHOUT_PROMPTS:
        (folder / "prompts.txt").write_text("a red cat\na blue dog\n")
    assert [finding for finding in check_suite(str(folder)) if not finding.passed] == []
    for method in ("prompt-only", "copy"):
        settings = ("--steps", 1, "--samples", 1, "--users", 2, "--metrics", "clip-score,clip-i", "--out", out)
        done("run", "--suite", folder, "--method", method, "--backbone", tiny_sd, "--device", "cpu", *settings)
    table = done("report", *sorted(path for path in out.iterdir() if (path / "run.json").exists()), "--suite", folder)
    assert "copy" in table
    assert "clip-i" in table

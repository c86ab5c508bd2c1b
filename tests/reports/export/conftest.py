"""Runs with hostile texts, a failed user and a control, and how they are handed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prefbench.api import ReportContext
from prefbench.reports.export.exporter import Exporter
from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import HISTORIES, HOSTILE, build

Write = Callable[[Exporter], Path]
PROMPTS = {"a cat": f"{HOSTILE} ![p](http://e.vil/a.png)\n---\nlicense: mit"}
ERROR = "OSError: /home/me/weights/a.bin\n<script>alert(1)</script>"


@pytest.fixture
def runs(tmp_path: Path) -> list[ScoredFolder]:
    """`ours`, all of whose pictures for one user failed, a control, and `prompt-only`, one of whom has no value."""
    failing = {"error": ERROR, "spec": {"parameters": {"weights": "/home/me/weights/a.safetensors", "scale": 0.6}}}
    return [
        build(tmp_path / "ours", "ours", {"ann": 0.1, "bob": 0.7, "cyd": None}, prompts=PROMPTS, **failing),
        build(tmp_path / "copy", "copy", {"ann": 0.3, "bob": 0.9, "cyd": 1 / 3}, prompts=PROMPTS, audit="FAILED"),
        build(tmp_path / "base", "prompt-only", {"ann": 0.0, "bob": float("nan"), "cyd": 0.2}, prompts=PROMPTS),
    ]  # fmt: skip


@pytest.fixture
def write(runs: list[ScoredFolder], tmp_path: Path) -> Write:
    """Hands the runs over and returns the folder of the form."""

    def write_form(exporter: Exporter) -> Path:
        paths = exporter.write(exporter.measure(runs, ReportContext(lambda: HISTORIES)), tmp_path / "out")
        assert all(path.is_file() for path in paths)
        return tmp_path / "out" / exporter.card.name

    return write_form

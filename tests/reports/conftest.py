"""Runs that several reports are made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import build


@pytest.fixture
def runs(tmp_path: Path) -> list[ScoredFolder]:
    """`ours` between `prompt-only` and `inferred`, unequal over users."""
    return [
        build(tmp_path / "ours", "ours", {"ann": 0.2, "bob": 0.4, "cyd": 0.6}),
        build(tmp_path / "base", "prompt-only", {"ann": 0.0, "bob": 0.1, "cyd": 0.2}),
        build(tmp_path / "top", "inferred", {"ann": 0.8, "bob": 0.6, "cyd": 0.7}),
    ]

"""What runs are called in a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.api import PrefbenchError
from prefbench.reports.shared.labels import label_runs
from prefbench.reports.table.compare import compare
from tests.support.toy_runs import build


def test_another_sampler_is_said_in_every_label(tmp_path: Path) -> None:
    runs = [build(tmp_path / "a", "ours", 0.5, spec={"guidance": 9.0}), build(tmp_path / "b", "prompt-only", 0.1)]
    assert label_runs(runs) == ["ours (guidance=9.0)", "prompt-only (guidance=1.0)"]


def test_a_parameter_may_be_called_like_a_setting(tmp_path: Path) -> None:
    runs = [build(tmp_path / str(n), "ours", 0.5, spec={"parameters": {"steps": n}}) for n in (4, 8)]
    assert label_runs(runs) == ["ours (-p steps=4)", "ours (-p steps=8)"]


def test_twins_are_labelled_by_what_differs_and_refused_if_nothing_does(tmp_path: Path) -> None:
    weak = build(tmp_path / "weak", "ours", 0.1, spec={"parameters": {"scale": 0.5, "layers": 4}})
    strong = build(tmp_path / "strong", "ours", 0.2, spec={"parameters": {"scale": 1.0, "layers": 4}})
    other = build(tmp_path / "other", "ours", 0.2, spec={"control": "other-user"})
    assert list(compare([weak, strong, other]).runs) == ["ours (scale=0.5)", "ours (scale=1.0)", "ours + other-user"]
    with pytest.raises(PrefbenchError, match="twice"):
        compare([weak, weak])

"""What the tests of all engines stand on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prefbench
from tests.support.marked_runs import METHODS, SUITE, marked


@pytest.fixture(scope="module")
def quick_starts() -> Iterator[None]:
    """Workers of this process are forked from one that has imported everything; those of the command start anew."""
    multiprocessing.set_forkserver_preload(["prefbench.engines.drawing", "prefbench.models.backbones.loader"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prefbench.engines.processes.START", "forkserver")
        yield


@pytest.fixture(scope="module")
def choices(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a run that is drawn and not scored."""
    out = tmp_path_factory.mktemp("runs")
    return {"suite": SUITE, "samples": 4, "batch": 3, "backbone": str(tiny_sd), "out": out, "score": False}


@pytest.fixture(scope="module")
def alone(choices: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that one process has drawn."""
    marks = tmp_path_factory.mktemp("alone") / "marks"
    return prefbench.run(f"{METHODS}:Odd", device="cpu", **choices, **marked(marks)).path

"""What the tests of all engines stand on: runs that one process has drawn, each once for all of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prefbench
from prefbench.calls import Run
from tests.support.marked_runs import METHODS, SCORED, SUITE, marked

_LOADED = [
    "prefbench.engines.drawing",
    "prefbench.engines.scoring",
    "prefbench.models.backbones.loader",
    "prefbench.models.extractors.clip",
    "prefbench.metrics.clip_score",
    "prefbench.metrics.fid",
    "prefbench.metrics.preference",
    "prefbench.suites.picturebook.suite",
    "open_clip",
]
"""What each worker would import for itself."""


@pytest.fixture(scope="session")
def quick_starts() -> Iterator[None]:
    """Workers of this process are forked from one that has imported everything; those of the command start anew."""
    multiprocessing.set_forkserver_preload(_LOADED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prefbench.engines.processes.START", "forkserver")
        yield


@pytest.fixture(scope="session")
def choices(tiny_sd: Path) -> dict[str, Any]:
    """Of a run that is drawn and not scored."""
    return {"suite": SUITE, "samples": 4, "batch": 3, "backbone": str(tiny_sd), "score": False}


@pytest.fixture(scope="session")
def alone(choices: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that one process has drawn."""
    root = tmp_path_factory.mktemp("alone")
    return prefbench.run(f"{METHODS}:Odd", device="cpu", out=root, **choices, **marked(root / "marks")).path


@pytest.fixture(scope="session")
def scored(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that one process has drawn and scored."""
    choices: dict[str, Any] = {"users": 4, "backbone": str(tiny_sd), "steps": 1, "device": "cpu", "metrics": SCORED}
    return prefbench.run("prompt-only", out=tmp_path_factory.mktemp("scored"), **choices)

"""What every test stands on: no network, one thread, a cache of its own, a tiny backbone in the real layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Read by the libraries when they are imported, so set before any test module is.
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Derived data of one test session, also of the processes that it starts; the user's own cache is left alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained `mini-sd`: what `--backbone` takes."""
    from tests.tiny import save_tiny_mini_sd

    return save_tiny_mini_sd(tmp_path_factory.mktemp("backbone") / "tiny-sd")

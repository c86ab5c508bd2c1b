"""What every test stands on: no network, one thread, a cache of its own, a tiny backbone in the real layout."""

from __future__ import annotations

import os
import signal
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

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from prefbench.api import TrainUser
    from prefbench.methods.ours.train.judged_images import JudgedImages
    from prefbench.models.mllms.model import Mllm


# A job in the background ignores Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Derived data of one test session and of the processes that it starts; the user's own cache is left alone.

    Workers of pytest-xdist share one folder beside their own: files are complete as soon as they have their names.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained `mini-sd`: what `--backbone` takes."""
    from tests.support.tiny import save_tiny_mini_sd

    return save_tiny_mini_sd(tmp_path_factory.mktemp("backbone") / "tiny-sd")


@pytest.fixture(scope="module")
def train_users() -> list[TrainUser]:
    """What four users of the tiny suite judged."""
    from tests.support.tiny_suite import train_user

    return [train_user(i) for i in range(4)]


@pytest.fixture(scope="module")
def judged_images(train_users: list[TrainUser]) -> JudgedImages:
    from prefbench.methods.ours.train.judged_images import JudgedImages

    return JudgedImages(train_users)


@pytest.fixture(scope="module")
def idefics2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Idefics2."""
    from tests.support.tiny_mllms import save_tiny_idefics2

    return save_tiny_idefics2(tmp_path_factory.mktemp("mllm") / "idefics2")


@pytest.fixture
def mllm(idefics2: Path) -> Mllm:
    """Ready for training, its vision tower frozen."""
    from prefbench.methods.ours.train.question_stage import freeze_vision
    from prefbench.models.mllms.loader import load_mllm
    from prefbench.models.mllms.tuning import tune

    found = tune(load_mllm(idefics2, device="cpu"), "full")
    freeze_vision(found)
    return found

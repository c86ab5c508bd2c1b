"""Metrics that break their contract lose their own scores alone, in one line that names them; the others are kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import prefbench
from prefbench.api import NotMeasurableError, PrefbenchError
from prefbench.api.errors import PluginError
from prefbench.models.extractors import common
from prefbench.models.memory import Batches, is_out_of_memory
from prefbench.run.folder import RunFolder
from tests.support.hostile import SUITE, arguments_of_run, check_clean, invoke, method_of, write

pytestmark = pytest.mark.slow
N = "len(drawn.samples)"
RETURNED = {
    "nothing": ("None", "a NoneType, not a mapping"),
    "an empty mapping": ("{}", "not a mapping of columns"),
    "a list": (f"[0.0] * {N}", "a list, not a mapping"),
    "a text": ("'x'", "a str, not a mapping"),
    "too few": ("{'bad': [0.0]}", "has 1 value, not 6"),
    "too many": (f"{{'bad': [0.0] * ({N} + 1)}}", "has 7 values, not 6"),
    "texts": (f"{{'bad': ['a'] * {N}}}", "gave a str, not a number"),
    "one text": ("{'bad': 'abcdef'}", "a str, not a sequence"),
    "complex numbers": (f"{{'bad': [1j] * {N}}}", "gave a complex, not a number"),
    "arrays": (f"{{'bad': [np.zeros(2)] * {N}}}", "not a sequence of numbers"),
    "a matrix": (f"{{'bad': np.zeros(({N}, 2))}}", "not a sequence of numbers"),
    "a number": ("{'bad': 0.5}", "a float, not a sequence"),
    "a generator": ("{'bad': (s for s in drawn.samples)}", "a generator, not a sequence"),
    "objects": (f"{{'bad': [object()] * {N}}}", "gave a object, not a number"),
    "tensors": (f"{{'bad': [torch.zeros(2)] * {N}}}", "metric 'bad'"),
    "another's column": (f"{{'redness': [1.0] * {N}}}", "named its first column 'redness'"),
    "another's column beside": (f"{{'bad': [1.0] * {N}, 'redness': [1.0] * {N}}}", "named a column 'redness'"),
    "a column that is a number": (f"{{7: [1.0] * {N}}}", "named a column 7"),
    "a column of control characters": (f"{{'bad\\x1b[2J': [1.0] * {N}}}", "named a column"),
    "a number too large": (f"{{'bad': [10 ** 400] * {N}}}", "OverflowError"),
}
RAISED = {
    "an exception": ("raise ValueError('no')", "ValueError: no"),
    "sys.exit(0)": ("sys.exit(0)", "SystemExit: 0"),
    "KeyboardInterrupt of its own": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "endless recursion": ("def f(): return f()\n        f()", "RecursionError"),
    "an exception without text": ("raise Silent", "cannot be shown"),
    "writing into the pixels": ("drawn.samples[0].pixels[:] = 0", "ValueError"),
    "memory": ("raise MemoryError", "not even the images of one user fit into memory"),
    "CUDA memory": ("raise torch.OutOfMemoryError('CUDA out of memory')", "not even the images of one user fit"),
    "cuBLAS": ("raise RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED')", "not even the images of one user fit"),
    "the CPU's allocator": ('raise RuntimeError("can\'t allocate memory")', "not even the images of one user fit"),
}
METRIC = """
class Bad(ImageMetric):
    card = MetricCard("bad", "1", "x", "side", "up", "image", "r")
    def score(self, drawn):
        {body}
"""


@pytest.fixture(scope="module")
def drawn(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn run that is not scored."""
    folder = tmp_path_factory.mktemp("drawn")
    path = write(folder, "class Bad(Good): pass")
    done = invoke(*arguments_of_run(path, tiny_sd, folder / "runs", "--no-score"))
    assert done.exit_code == 0, done.output
    return next((folder / "runs").iterdir())


@pytest.fixture
def run(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "runs" / drawn.name))


def score(run: Path, body: str, *, metrics: str = "{file}:Redness,{file}:Bad") -> Any:
    file = write(run.parents[1], body, "metric.py")
    return invoke("score", str(run), "--metrics", metrics.format(file=file), "--suite", SUITE, "--json")


@pytest.mark.parametrize(("returned", "told"), RETURNED.values(), ids=RETURNED)
def test_what_a_metric_returns_wrongly_costs_its_own_scores_alone(returned: str, told: str, run: Path) -> None:
    done = score(run, METRIC.format(body=f"return {returned}"))
    check_clean(done)
    assert done.exit_code == 2, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("no bad: ")]
    assert told in line
    assert RunFolder(run).scored() == ["redness"]
    assert '"redness"' in done.stdout


@pytest.mark.parametrize(("body", "told"), RAISED.values(), ids=RAISED)
def test_what_a_metric_raises_costs_its_own_scores_alone(body: str, told: str, run: Path) -> None:
    done = score(run, METRIC.format(body=body))
    check_clean(done)
    assert done.exit_code == 2, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("no bad: ")]
    assert told in line
    assert "bad" in line.removeprefix("no bad: ")
    assert RunFolder(run).scored() == ["redness"]


def test_a_metric_that_fails_alone_is_the_message(run: Path) -> None:
    done = score(run, METRIC.format(body="raise ValueError('no')"), metrics="{file}:Bad")
    check_clean(done)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "prefbench: metric 'bad': score raised ValueError: no"


CARDS = {
    "a direction": "MetricCard('bad', '1', 'x', 'side', 'sideways', 'image', 'r')",
    "a question": "MetricCard('bad', '1', 'x', 'beauty', 'up', 'image', 'r')",
    "a unit": "MetricCard('bad', '1', 'x', 'side', 'up', 'pixel', 'r')",
    "a version": "MetricCard('bad', 1, 'x', 'side', 'up', 'image', 'r')",
    "bounds": "MetricCard('bad', '1', 'x', 'side', 'up', 'image', 'r', bounds=3)",
    "a list": "MetricCard('bad', '1', 'x', 'side', 'up', 'image', 'r', won_by='copy')",
    "nothing": "None",
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_that_holds_something_else_is_refused_before_scoring(card: str, run: Path) -> None:
    done = score(
        run, METRIC.format(body="return {}").replace('MetricCard("bad", "1", "x", "side", "up", "image", "r")', card)
    )
    check_clean(done)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "card" in done.stderr.splitlines()[-1]
    assert "Bad" in done.stderr.splitlines()[-1]
    assert RunFolder(run).scored() == []


def test_a_notebook_gets_errors_and_no_exit(run: Path, tmp_path: Path) -> None:
    file = write(tmp_path, METRIC.format(body="sys.exit(3)"), "metric.py")
    with pytest.raises(PrefbenchError, match="metric 'bad': score raised SystemExit: 3"):
        prefbench.score(run, [f"{file}:Bad"], suite=SUITE)
    with pytest.raises(PluginError, match="the constructor raised SystemExit: 0"):
        prefbench.run(f"{write(tmp_path, method_of('__init__', 'sys.exit(0)'))}:Bad", suite=SUITE)
    scored = prefbench.score(run, [f"{file}:Bad", f"{file}:Redness"], suite=SUITE)
    assert scored.broken == {"bad": "metric 'bad': score raised SystemExit: 3"}
    assert scored.refused == {}


FEW = """
class Few(ImageMetric):
    card = MetricCard("few", "1", "x", "side", "up", "image", "r")
    def score(self, drawn):
        raise NotMeasurableError("few needs two worlds, there is 1")
"""


def test_the_only_metric_that_is_refused_is_the_message(run: Path, tiny_sd: Path, tmp_path: Path) -> None:
    file = write(tmp_path, FEW, "metric.py")
    done = score(run, FEW, metrics="{file}:Few")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "prefbench: few needs two worlds, there is 1"
    method = write(tmp_path, "class Bad(Good): pass")
    done = invoke(*arguments_of_run(method, tiny_sd, tmp_path / "more", "--metrics", f"{file}:Few", "--json"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "prefbench: few needs two worlds, there is 1"
    with pytest.raises(NotMeasurableError, match=r"^few needs two worlds"):
        prefbench.score(run, [f"{file}:Few"], suite=SUITE)


def test_a_metric_that_is_refused_beside_others_is_reported(run: Path) -> None:
    done = score(run, FEW, metrics="{file}:Few,{file}:Redness")
    assert done.exit_code == 1, done.output
    assert "no few: few needs two worlds, there is 1" in done.stderr
    assert RunFolder(run).scored() == ["redness"]


NEEDING = {
    "a truth": ("utility", "utility needs a suite that knows the truth; tiny does not"),
    "a role": ("clip-score", "clip-score: suite 'tiny' names no extractor for 'text'"),
    "weights": ("pickscore", "pickscore: there is no local copy of yuvalkirstain/PickScore_v1"),
}


@pytest.mark.parametrize(("metric", "told"), NEEDING.values(), ids=NEEDING)
def test_what_a_metric_lacks_is_said_before_anything_is_drawn(
    metric: str, told: str, tiny_sd: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, "class Bad(Good): pass")
    done = invoke(*arguments_of_run(file, tiny_sd, tmp_path / "runs", "--metrics", f"{file}:Redness,{metric}"))
    assert done.exit_code == 2, done.output
    assert told in done.stderr.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


# -------------------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"), MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)  # fmt: skip
def test_features_go_on_with_half_the_batch(error: Exception) -> None:
    tried: list[int] = []

    def encode(items: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        tried.append(len(items))
        if len(items) > 10:
            raise error
        return np.array([[float(item)] for item in items])

    features = common.in_batches("an extractor", list(range(100)), encode)
    assert features[:, 0].tolist() == list(range(100))
    assert tried[:4] == [64, 32, 16, 8]
    assert set(tried[3:-1]) == {8}


def test_one_item_that_does_not_fit_is_one_line() -> None:
    def work(*_: int) -> None:
        raise MemoryError

    with pytest.raises(PrefbenchError, match=r"^it is full$") as refused:
        Batches("it is full", 64).each(3, work)
    assert not is_out_of_memory(refused.value), "an outer batch is not halved for it"


def test_a_metric_gets_fewer_users_where_memory_runs_out(run: Path) -> None:
    body = """if len(drawn.samples) > 2:
            raise MemoryError
        return {"bad": [float(s.pixels.mean()) for s in drawn.samples]}"""
    done = score(run, METRIC.format(body=body), metrics="{file}:Bad")
    assert done.exit_code == 0, done.output
    assert RunFolder(run).scored() == ["bad"]

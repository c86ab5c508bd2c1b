"""What `--devices` takes, and how many threads each worker gets."""

from __future__ import annotations

import pytest
import torch
from click.testing import CliRunner

from prefbench.api import PrefbenchError
from prefbench.cli.main import main
from prefbench.engines import devices


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cpu:2", ["cpu", "cpu"]),
        ("cpu", ["cpu"]),
        ("cuda:0, cuda:2", ["cuda:0", "cuda:2"]),
        (["cuda:1", "cuda:0"], ["cuda:1", "cuda:0"]),
        ("all", ["all"]),
        ("8", ["8"]),
        (8, ["8"]),
    ],
)
def test_devices_are_named_in_several_ways(given: str | int | list[str], expected: list[str]) -> None:
    assert devices.parse_devices(given) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cpu:0", "at least one worker"),
        ("0", "at least one worker"),
        (-1, "at least one worker"),
        ("gpu:1", "gpu:1"),
        ("", "device"),
        ("cuda", "cuda:0, or all"),
        ("cuda:x", "'x' is no number"),
        ("cuda:0,cuda:0", "twice"),
        ("cpu:2,cuda:0", "cpu and cuda"),
        (True, "got True"),
        (None, "got None"),
        ([], "no devices are named"),
        ("--5", "--5"),
        ("٣", "٣"),
        ("1025", "one machine starts 1,024 at most"),
        ("cpu:99999999999", "one machine starts 1,024 at most"),
        ("9" * 5000, "one machine starts 1,024 at most"),
        ("cpu:" + "9" * 5000, "one machine starts 1,024 at most"),
    ],
)
def test_mistakes_are_told_in_one_line(given: object, said: str) -> None:
    with pytest.raises(PrefbenchError, match=said) as refusal:
        devices.parse_devices(given)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_a_device_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.devices_here(["all"]) == ["cuda:0", "cuda:1"]
    assert devices.devices_here(["2"]) == ["cuda:0", "cuda:1"]
    assert devices.devices_here(["cuda:1"]) == ["cuda:1"]
    with pytest.raises(PrefbenchError, match=r"'cuda:9' here \(found: cuda:0, cuda:1, cpu\)"):
        devices.devices_here(["cuda:9"])
    with pytest.raises(PrefbenchError, match="2 accelerators found here"):
        devices.devices_here(["8"])


def test_without_an_accelerator_all_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(PrefbenchError, match="cpu:2"):
        devices.devices_here(["all"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--devices", "cpu:2", "--device", "cpu"], "--device or --devices, not both"),
        (["--devices", "nonsense"], "nonsense"),
        (["--devices", "cuda:99"], "cuda:99"),
    ],
)
def test_the_command_refuses_devices(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["run", "--method", "prompt-only", *arguments])
    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    assert [devices.threads_each(workers) for workers in (1, 2, 3, 8, 64)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [devices.threads_each(workers) for workers in (1, 2, 3)] == [3, 3, 2]

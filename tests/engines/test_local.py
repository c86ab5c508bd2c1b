"""Several processes draw one run: the rows and images of one process, whoever ends on the way."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import prefbench
from prefbench.api import FailedSamplesError, PrefbenchError, Sample
from prefbench.run.folder import RunFolder
from tests.support.marked_runs import HERE, METHODS, SAMPLES, marked, rows

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.usefixtures("quick_starts")]
"""Processes are started, killed and finished."""

LONG = 16
"""Samples of each user in a run that is killed and interrupted on the way: no machine is through with it before."""


def starts(folder: Path, what: str) -> int:
    return len(list(folder.glob(f"{what}-*")))


def seed_of(path: Path, place: int) -> str:
    samples: list[Sample] = sorted(RunFolder(path).samples().values(), key=lambda s: (s.user, s.index))
    return str(samples[place].seed)


def test_several_processes_draw_what_one_draws_though_one_is_killed(
    alone: Path, choices: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks = tmp_path / "marks"
    at = marked(marks, end="kill", at=seed_of(alone, 7), times=1)
    run = prefbench.run(f"{METHODS}:Odd", devices="cpu:2", out=tmp_path, **choices, **at)
    assert rows(run.path) == rows(alone)
    assert "is replaced: its process was killed by SIGKILL, as when memory runs out" in caplog.text
    assert starts(marks, "end") == 1
    assert len(RunFolder(run.path).profiles()) == starts(marks, "profile") == 3, "the object is handed on"
    lines = sum(len(path.read_text().splitlines()) - 1 for path in (run.path / "samples").iterdir())
    assert lines == SAMPLES, "no row is there twice"


def test_what_ends_every_worker_fails_and_the_others_are_drawn(
    alone: Path, choices: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of one user, and the profile of another, who fails alone."""
    monkeypatch.setattr("prefbench.engines.hand_out.AGAIN", 1)
    monkeypatch.setattr("prefbench.engines.shared_profiles.AGAIN", 1)
    digest = next(row.history for row in RunFolder(alone).profiles().values() if row.user == "test-2")
    places = f"{seed_of(alone, 0)},profile-{digest[:12]}"
    at = marked(tmp_path / "marks", end="exit", at=places)
    with pytest.raises(FailedSamplesError, match=f"7 of {SAMPLES} samples failed"):
        prefbench.run(f"{METHODS}:Ending", devices="cpu:2", out=tmp_path / "runs", **choices, **at)
    [folder] = map(RunFolder, (tmp_path / "runs").glob("*-ending-*"))
    failed = [sample for sample in folder.samples().values() if sample.status == "failed"]
    assert Counter(sample.user for sample in failed) == {"test-0": 3, "test-2": 4}
    said = "the worker ended 2 times on it: its process ended with exit code 3"
    assert [sample.error for sample in failed if sample.user == "test-0"] == [said] * 3
    assert all("ended 2 times on the profile" in str(one.error) for one in failed if one.user == "test-2")
    statuses = {row.user: row.status for row in folder.profiles().values()}
    assert statuses == {"test-0": "ok", "test-1": "ok", "test-2": "failed"}
    assert starts(tmp_path / "marks", "end") == 4


def test_a_worker_that_cannot_be_set_up_ends_the_run_in_one_line(choices: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="no weights") as refusal:
        prefbench.run(f"{METHODS}:Unready", devices="cpu:1", out=tmp_path, **choices)
    assert "\n" not in str(refusal.value)


# -------------------------------------------------------------------------------------------- the command itself


@pytest.fixture
def command(choices: dict[str, Any], tmp_path: Path) -> list[str]:
    (tmp_path / "marks").mkdir()
    named = {**choices, "samples": LONG, "out": tmp_path / "runs", "method": f"{METHODS}:Ending"}
    options = [text for name, value in named.items() if name != "score" for text in (f"--{name}", str(value))]
    return ["run", *options, "--no-score", "-p", f"marks={tmp_path / 'marks'}", "-p", "seconds=1"]


@pytest.fixture
def start(command: list[str]) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start_one(devices: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "prefbench.cli.main", *command, "--devices", devices]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
        started.append(subprocess.Popen(line, **pipes, text=True, env=environment, preexec_fn=_hear_interrupts))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


def _hear_interrupts() -> None:
    """A shell without job control lets what it starts in the background ignore them, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_rows(process: subprocess.Popen[str], out: Path, more_than: int) -> None:
    """Waits until the run has stored more than so many samples."""
    for _ in range(9000):
        assert process.poll() is None, process.communicate()
        if stored(out) > more_than:
            return
        time.sleep(0.02)
    raise AssertionError("no rows within three minutes")


def stored(out: Path) -> int:
    return sum(len(RunFolder(path.parents[1]).samples()) for path in out.glob("*/samples/*.jsonl"))


def test_the_command_is_killed_interrupted_and_goes_on_with_other_devices(
    alone: Path,
    choices: dict[str, Any],
    command: list[str],
    start: Callable[[str], subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    killed = start("cpu:2")
    wait_for_rows(killed, tmp_path / "runs", 0)
    workers = [child for child in psutil.Process(killed.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    killed.kill()
    killed.wait()
    assert psutil.wait_procs(workers, timeout=20)[1] == [], "workers go on without the driver"

    count = stored(tmp_path / "runs")
    interrupted = start("cpu:1")
    wait_for_rows(interrupted, tmp_path / "runs", count)
    workers = psutil.Process(interrupted.pid).children()
    began = time.monotonic()
    interrupted.send_signal(signal.SIGTERM)
    _, said = interrupted.communicate(timeout=60)
    assert (interrupted.returncode, time.monotonic() - began < 10) == (130, True)
    assert shlex.join(["prefbench", *command, "--devices", "cpu:1"]) in said
    assert "Traceback" not in said
    assert psutil.wait_procs(workers, timeout=5)[1] == []

    (tmp_path / "marks" / "hurry").touch()
    slow = {"marks": str(tmp_path / "marks"), "seconds": 1.0}
    named: dict[str, Any] = {**choices, "samples": LONG, "out": tmp_path / "runs", "parameters": slow}
    run = prefbench.run(f"{METHODS}:Ending", device="cpu", **named)
    assert len(rows(run.path)) == 3 * LONG
    assert {place: row for place, row in rows(run.path).items() if place[1] < 4} == rows(alone)
    assert len(RunFolder(run.path).starts()) in (2, 3), "the last may find nothing to draw"

"""Kill a run anywhere: the same command goes on, and the folder ends with the images of a run that was never killed."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefbench.run.execute import execute
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import Prepared, Settings, prepare
from tests.support.tiny import save_tiny_sd15

pytestmark = [pytest.mark.slow, pytest.mark.alone]
"""Processes are started, killed and finished."""

N_KILLS = 6
"""At random moments; `benchmarks/kills.py` makes hundreds."""
Digests = dict[str, str | None]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A run of 40 samples in 5 batches on a tiny random Stable Diffusion 1.5, loaded once; each test draws it anew."""
    root = tmp_path_factory.mktemp("kill")
    backbone = save_tiny_sd15(root / "backbone")
    return prepare(Settings("prompt-only", backbone=str(backbone), device="cpu", steps=2, users=4, batch=8, out=root))


@pytest.fixture(scope="module")
def undisturbed(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> tuple[Digests, float]:
    """What a run that nobody killed ends with, and how long it took."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    started = time.monotonic()
    process = begin(prepared, path)
    process.join()
    assert process.exitcode == 0
    return digests(RunFolder(path)), time.monotonic() - started


def begin(prepared: Prepared, path: Path, sabotage: Callable[[], None] = lambda: None) -> multiprocessing.Process:
    """Starts the run in a process of its own, forked from this one, where everything is loaded already."""

    def draw() -> None:
        sabotage()
        execute(replace(prepared, folder=RunFolder(path)))

    process = multiprocessing.get_context("fork").Process(target=draw)
    process.start()
    return process  # type: ignore[return-value]


def finish(prepared: Prepared, path: Path) -> Digests:
    execute(replace(prepared, folder=RunFolder(path)))
    return digests(RunFolder(path))


def digests(folder: RunFolder) -> Digests:
    """Key to image digest, each image opened and checked; no half-written file is left."""
    found = {key: sample.image for key, sample in folder.samples().items()}
    for digest in found.values():
        folder.image(digest or "")
    assert not list(folder.path.rglob(".*.tmp"))
    return found


def killed_at_write(number: int) -> Callable[[], None]:
    """Makes a process kill itself in the middle of its n-th durable write: before the rename, before the row counts."""

    def sabotage() -> None:
        writes, sync = iter(range(1, 1_000_000)), os.fsync

        def fsync(fd: Any) -> None:
            if next(writes) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(fd)

        os.fsync = fsync

    return sabotage


def test_killed_at_random_moments(prepared: Prepared, undisturbed: tuple[Digests, float], tmp_path: Path) -> None:
    expected, seconds = undisturbed
    moments, kills = random.Random(7), 0
    for attempt in range(4 * N_KILLS):
        path = tmp_path / str(attempt)
        process = begin(prepared, path)
        process.join(moments.uniform(0, 0.9) * seconds)
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        assert finish(prepared, path) == expected
        if kills == N_KILLS:
            return
    pytest.fail(f"only {kills} of {4 * N_KILLS} runs were killed before they ended")


@pytest.mark.parametrize("write", [1, 2, *sorted(random.Random(11).sample(range(3, 50), 5))])
def test_killed_in_the_middle_of_a_write(
    prepared: Prepared, undisturbed: tuple[Digests, float], tmp_path: Path, write: int
) -> None:
    process = begin(prepared, tmp_path / "run", killed_at_write(write))
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert finish(prepared, tmp_path / "run") == undisturbed[0]


def slow_to_start(number: int, starts: Path) -> Callable[[], None]:
    """Makes the n-th program that is started hold what it inherits for two seconds, as on a busy machine.

    A line for each start is written to a file.
    """

    def hold() -> None:
        with starts.open("a") as file:
            file.write("\n")
        if starts.stat().st_size == number:
            time.sleep(2)

    def sabotage() -> None:
        run: Any = subprocess.run
        patched: Any = subprocess
        patched.run = lambda *args, **kwargs: run(*args, preexec_fn=hold, **kwargs)

    return sabotage


def test_a_killed_process_leaves_the_lock_to_nobody(
    prepared: Prepared, undisturbed: tuple[Digests, float], tmp_path: Path
) -> None:
    """Programs that it was just starting, such as git, would hold the folder after its death."""
    for number in itertools.count(1):
        path, starts = tmp_path / f"run-{number}", tmp_path / f"starts-{number}"
        process = begin(prepared, path, slow_to_start(number, starts))
        while process.is_alive() and not (starts.exists() and starts.stat().st_size == number):
            time.sleep(0.01)
        process.kill()
        process.join()
        if process.exitcode == 0:
            assert number > 1, "the run starts no program"
            return
        assert process.exitcode == -signal.SIGKILL
        assert finish(prepared, path) == undisturbed[0]


def test_killed_again_and_again(prepared: Prepared, undisturbed: tuple[Digests, float], tmp_path: Path) -> None:
    exits: list[int | None] = []
    while 0 not in exits and len(exits) < 20:
        process = begin(prepared, tmp_path / "run", killed_at_write(12))
        process.join()
        exits.append(process.exitcode)
    assert exits[:3] == [-signal.SIGKILL] * 3
    assert exits[-1] == 0
    assert finish(prepared, tmp_path / "run") == undisturbed[0]


# -------------------------------------------------------------------------------------------- the command itself


@pytest.fixture
def settings(tiny_sd: Path, tmp_path: Path) -> Settings:
    out = tmp_path / "with a space"
    return Settings("prompt-only", backbone=str(tiny_sd), device="cpu", steps=4, users=3, batch=3, out=out)


@pytest.fixture
def command(settings: Settings) -> list[str]:
    options = ("method", "backbone", "device", "steps", "users", "batch", "out")
    given = [text for name in options for text in (f"--{name}", str(getattr(settings, name)))]
    return ["run", *given, "--no-score"]


@pytest.fixture
def start(command: list[str]) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start_one() -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "prefbench.cli.main", *command]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(line, **pipes, text=True, preexec_fn=_hear_interrupts))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


def _hear_interrupts() -> None:
    """A shell without job control lets what it starts in the background ignore them, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_rows(process: subprocess.Popen[str], out: Path, more_than: int) -> int:
    """Waits until the run has stored more than so many samples, and says how many."""
    for _ in range(6000):
        assert process.poll() is None, process.communicate()
        rows = sum(len(RunFolder(path.parents[1]).samples()) for path in out.glob("*/samples/*.jsonl"))
        if rows > more_than:
            return rows
        time.sleep(0.02)
    raise AssertionError("no rows within two minutes")


def test_the_command_is_killed_goes_on_and_is_interrupted(
    settings: Settings, command: list[str], start: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    killed = start()
    rows = wait_for_rows(killed, settings.out, 0)
    killed.kill()
    killed.wait()

    interrupted = start()
    wait_for_rows(interrupted, settings.out, rows)
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert shlex.join(["prefbench", *command]) in said
    assert "Traceback" not in said

    rest = prepare(settings)
    result = execute(rest)
    assert 0 < result.drawn < result.planned
    undisturbed = prepare(replace(settings, out=tmp_path / "undisturbed"))
    execute(undisturbed)
    assert digests(rest.folder) == digests(undisturbed.folder)

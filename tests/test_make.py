"""The two steps of `make test`: together they are all tests, and neither hides what the other finds."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from prefbench.registry import load, names

ROOT = Path(__file__).parents[1]
MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make_test(folder: Path, failing: str = "") -> tuple[int, list[list[str]]]:
    """The exit code of `make test` with a stand-in for Python, and what it was called with, a call a list.

    The stand-in fails where its last argument is `failing`.
    """
    said, python = folder / "said", folder / "python"
    words = f'printf "%s\\n" "$@" "" >> "{said}"'
    python.write_text(f'#!/bin/sh\n{words}\nfor last; do :; done\n[ "$last" != "{failing}" ]\n')
    python.chmod(0o755)
    command = ["make", "-o", ".venv/test.stamp", "test", f"BIN={folder}", "WORKERS=2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return done.returncode, [call.split("\n") for call in said.read_text().strip().split("\n\n")]


@MAKE
def test_every_test_is_in_one_of_two_steps(tmp_path: Path) -> None:
    """Nothing but one mark selects: who carries it is in the second step, who does not in the first."""
    code, calls = make_test(tmp_path)
    assert code == 0
    assert calls == [
        ["-m", "pytest", "-n", "2", "--dist", "worksteal", "-m", "not alone"],
        ["-m", "pytest", "-m", "alone"],
    ]


@MAKE
@pytest.mark.parametrize("failing", ["not alone", "alone"])
def test_a_failure_in_either_step_is_one_of_the_whole_and_both_are_run(failing: str, tmp_path: Path) -> None:
    code, calls = make_test(tmp_path, failing)
    assert code != 0
    assert [call[-1] for call in calls] == ["not alone", "alone"]


def test_a_test_has_one_thread() -> None:
    """Two processes with as many threads as there are cores hinder each other."""
    assert torch.get_num_threads() == 1


@MAKE
def test_every_world_is_drawn_by_every_method_and_then_compared(tmp_path: Path) -> None:
    said, prefbench = tmp_path / "said", tmp_path / "prefbench"
    prefbench.write_text(f'#!/bin/sh\necho "$@" >> "{said}"\n')
    prefbench.chmod(0o755)
    command = ["make", "-o", ".venv/run.stamp", "worlds", f"BIN={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0
    *drawn, last = said.read_text().splitlines()
    calls = [re.fullmatch(r"run((?: --method \S+)+) (.*?) --users .*", call) for call in drawn]
    assert all(calls)
    parts = [(method, call[2]) for call in calls if call for method in call[1].split(" --method ")[1:]]
    methods, worlds = {method for method, _ in parts}, {dials for _, dials in parts}
    assert len(parts) == len(set(parts)) == len(methods) * len(worlds)
    assert len(methods) >= 6
    assert {"--split test", "-s crowd=0", "-s history=2", "-s history=16", "--split shifted"} <= worlds
    assert last.startswith("validate --worlds")


@MAKE
def test_every_registered_attacker_is_drawn_audited_and_shown_in_a_folder_of_its_own(tmp_path: Path) -> None:
    said, prefbench = tmp_path / "said", tmp_path / "prefbench"
    prefbench.write_text(f'#!/bin/sh\necho "$@" >> "{said}"\n[ "$1" != audit ]\n')
    prefbench.chmod(0o755)
    command = ["make", "-o", ".venv/run.stamp", "attackers", f"BIN={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, "an audit that fails is what is hoped for"
    calls = said.read_text().splitlines()
    drawn = [call.removeprefix("run --method ") for call in calls if call.startswith("run ")]
    assert len(drawn) == len(set(drawn))
    methods = {call.split()[0] for call in drawn}
    attackers = {name for name in names("method") if load("method", name).card.attack}
    assert attackers - methods == {"copy"}, "which is a run of `make leaderboard`"
    for levels in (4, 8, 16):
        for through in ("", " -p through=audit"):
            assert any(call.startswith(f"reader-noise -p levels={levels}{through} --users") for call in drawn)
    pages = [i for i, call in enumerate(calls) if call.startswith("report --name attacks")]
    assert [any(call.startswith("audit") for call in calls[a:b]) for a, b in ((0, pages[0]), tuple(pages))] == [
        True,
        True,
    ]

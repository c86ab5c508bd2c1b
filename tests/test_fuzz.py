"""A hundred inputs of benchmarks/fuzz.py: each is answered rightly or refused in one line; and a wrong answer shows."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import fuzz
from benchmarks.fuzzing import plugins
from benchmarks.fuzzing.trial import Trial
from prefbench.api import pictures

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="inputs are tried in forked processes")


@FORKS
@pytest.mark.slow
def test_a_hundred_hostile_inputs_are_right_or_refused(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    done = CliRunner().invoke(fuzz.main, ["--inputs", "100", "--out", str(out)])
    assert done.exit_code == 0, done.output
    record = json.loads(out.read_text())
    assert record["failed"] == []
    assert set(record["inputs"]) == set(fuzz.KINDS)
    assert {name: sum(words.values()) for name, words in record["outcomes"].items()} == record["inputs"]


@FORKS
def test_a_picture_that_is_silently_another_is_a_failure_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_orientation", lambda _: 1)
    done = CliRunner().invoke(fuzz.main, ["--inputs", "60", "--only", "pictures"])
    assert done.exit_code == 1
    assert "python benchmarks/fuzz.py --seed 0 --only pictures --case" in done.stderr


@FORKS
@pytest.mark.slow
@pytest.mark.parametrize("deed", ["_method", "_metric"])
def test_a_plug_in_that_presses_ctrl_c_stops_its_command_and_one_that_only_raises_is_refused(
    deed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "generate(self, requests)" if deed == "_method" else "score(self, drawn)"
    cards = {"_method": "", "_metric": "    card = MetricCard('mine', '1', 'x', 'side', 'up', 'image', 'r')\n"}
    base = "Painter" if deed == "_method" else "ImageMetric"

    def ends(fault: str, place: str) -> str:
        text = f"class Bad({base}):\n{cards[deed]}    def {asked}:\n        {fault}\n"
        monkeypatch.setattr(plugins, deed, lambda _: plugins.Source(text))
        (tmp_path / place).mkdir()
        trial = Trial(np.random.default_rng(0), tmp_path / place)
        return str(getattr(plugins.Plugins(tmp_path / "material"), deed)(trial))

    assert ends(plugins.CTRL_C, "pressed").endswith("130")
    assert ends("raise KeyboardInterrupt", "raised")[-1] in "12"


def test_sleep_counts_against_the_limit_and_waiting_for_a_processor_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fuzz.clock()
    time.sleep(0.05)
    assert 0.04 < fuzz.clock(os.getpid()) - before < 5
    state = iter(("0 1000000000 1", "0 8000000000 1"))
    monkeypatch.setattr(Path, "read_text", lambda _: next(state))
    monkeypatch.setattr(time, "monotonic", iter((100.0, 109.0)).__next__)
    assert -fuzz.clock() + fuzz.clock() == 2.0, "of nine seconds seven were spent in the queue"


class Misbehaving:
    """What a campaign must notice beyond wrong answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def answer(self, trial: Trial) -> str:
        case = int(trial.folder.name.rpartition("-")[2])
        if case == 1:
            raise ZeroDivisionError("no line")
        if case == 2:
            os._exit(3)
        if case == 3:
            time.sleep(60)
        return "right"


@FORKS
@pytest.mark.alone
@pytest.mark.slow
def test_tracebacks_ends_and_hangs_are_failures_and_the_other_inputs_are_still_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fuzz, "LIMIT", 0.5)
    monkeypatch.setattr(fuzz, "KINDS", {"odd": fuzz.Kind(Misbehaving, 1.0, 10)})
    with fuzz.workplace() as folder:
        tried = list(fuzz.answers({"odd": Misbehaving(folder)}, 0, {"odd": 6}, folder, 2))
    failures = {case: failure for _, case, _, failure in tried}
    assert sorted(failures) == list(range(6))
    assert failures[1].startswith("ZeroDivisionError: no line")
    assert (failures[2], failures[3]) == ("it ended its process", "it hangs")
    assert {failures[case] for case in (0, 4, 5)} == {""}

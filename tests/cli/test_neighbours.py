"""One bad folder among good ones is left out with a line; the printed next command always works."""

from __future__ import annotations

import errno
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prefbench.cli.main import main
from prefbench.run.folder import RunFolder
from tests.support import audited_suite

SUITE = f"{audited_suite.__file__}:AuditedSuite"
METRIC = """
from prefbench.api import ImageMetric, MetricCard

class Redness(ImageMetric):
    card = MetricCard("redness", "1", "share of red", "side", "up", "image", "mean")

    def score(self, drawn):
        return {"redness": [float(s.pixels[..., 0].mean() / 255) for s in drawn.samples]}
"""


def invoke(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def next_command(output: str) -> list[str]:
    """The command that was printed, as a shell would hand it over."""
    (command,) = re.findall(r"^next +prefbench (.+)$", output, re.MULTILINE)
    words = shlex.split(command)
    matching = {word: sorted(map(str, Path(word).parent.iterdir())) for word in words if word.endswith("*")}
    return [path for word in words for path in matching.get(word, [word])]


@pytest.fixture(scope="module")
def drawn(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scored runs of a suite of a file, in a folder with a blank in its name."""
    folder = tmp_path_factory.mktemp("own suite")
    (folder / "redness.py").write_text(METRIC)
    for method in ("prompt-only", "copy"):
        done = draw(folder, tiny_sd, method)
        assert done.exit_code == 0, done.output
    return folder


def draw(folder: Path, backbone: Path, method: str, *more: object) -> Any:
    options = ["--suite", SUITE, "--backbone", backbone, "--device", "cpu", "--steps", "1", "--out", folder / "runs"]
    return invoke("run", "--method", method, *options, "--metrics", f"{folder / 'redness.py'}:Redness", *more)


@pytest.fixture
def runs(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn / "runs", tmp_path / "more runs"))


def one(runs: Path, method: str = "copy") -> Path:
    return next(path for path in runs.iterdir() if f"-{method}-" in path.name)


def damage(path: Path) -> Path:
    rows = path / "samples" / "0.jsonl"
    rows.write_text(rows.read_text() + '{"user": "x"}\n')
    return path


@pytest.mark.parametrize("ending", [[], ["--no-score"]])
@pytest.mark.slow
def test_the_next_command_of_a_run_on_a_suite_of_a_file_works(drawn: Path, tiny_sd: Path, ending: list[str]) -> None:
    done = draw(drawn, tiny_sd, "prompt-only", *ending)
    command = next_command(done.output)
    assert SUITE in command
    assert invoke(*command).exit_code == 0


@pytest.mark.slow
def test_the_next_command_names_the_runs_that_belong_together(drawn: Path, tiny_sd: Path) -> None:
    """Beside them stand runs of another seed, one that is damaged, and what is no run."""
    elsewhere = drawn / "elsewhere"
    shutil.copytree(drawn / "runs", elsewhere / "runs")
    shutil.copyfile(drawn / "redness.py", elsewhere / "redness.py")
    (elsewhere / "runs" / "notes").mkdir()
    (elsewhere / "runs" / "empty").mkdir()
    (elsewhere / "runs" / "empty" / "run.json").write_text("")
    assert draw(elsewhere, tiny_sd, "prompt-only", "--seed", 1).exit_code == 0
    done = draw(elsewhere, tiny_sd, "copy")
    assert done.exit_code == 0, done.output
    command = next_command(done.output)
    assert sum("-copy-" in word for word in command) == sum("-prompt-only-" in word for word in command) == 1
    assert invoke(*command).exit_code == 0


def test_a_damaged_folder_among_others_is_left_out_with_a_line(runs: Path) -> None:
    damage(Path(shutil.copytree(one(runs), runs / "damaged")))
    unscored = Path(shutil.copytree(one(runs), runs / "unscored"))
    shutil.rmtree(unscored / "scores")
    (runs / "empty").mkdir()
    done = invoke("report", *sorted(runs.iterdir()), "--suite", SUITE)
    assert done.exit_code == 0, done.output
    assert re.search(r"^left out  .*damaged/samples/0\.jsonl line \d+ is not as it was", done.output, re.MULTILINE)
    assert re.search(r"^left out  .*unscored was not scored yet", done.output, re.MULTILINE)
    assert re.search(r"^left out  .*empty is not a run folder", done.output, re.MULTILINE)


def test_where_no_folder_can_be_used_the_exit_code_is_2(runs: Path) -> None:
    done = invoke("report", *[damage(path) for path in runs.iterdir()], "--suite", SUITE)
    assert done.exit_code == 2
    assert re.search(r"^prefbench: none of 2 folders can be used: .* line \d+ is not as it was written", done.output)
    assert invoke("report", one(runs), "--suite", SUITE).exit_code == 2


def test_a_copy_of_a_run_is_left_out(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(one(runs), runs / "zz a copy")
    done = invoke("report", *sorted(runs.iterdir()), "--suite", SUITE, "--json")
    assert done.exit_code == 0, done.output
    assert {row["label"] for row in json.loads(done.stdout)} == {"prompt-only", "copy"}
    assert "zz a copy: it has the settings of another run" in caplog.text


def test_a_damaged_neighbour_does_not_keep_a_run_from_its_report(
    drawn: Path, tiny_sd: Path, runs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(one(runs, "prompt-only"))
    folder = runs.parent
    shutil.copyfile(drawn / "redness.py", folder / "redness.py")
    shutil.move(runs, folder / "runs")
    done = draw(folder, tiny_sd, "copy")
    assert done.exit_code == 0, done.output
    assert re.search(r"left out  .*prompt-only.*line \d+ is not as it was written", caplog.text)


@pytest.mark.parametrize("damage_of", ["value", "line", "empty", "nested", "header", "gone"])
def test_damaged_scores_are_refused_by_report_and_made_again_by_score(runs: Path, drawn: Path, damage_of: str) -> None:
    path = one(runs)
    file = RunFolder(path).score_path("redness")
    before = file.read_bytes()
    lines = before.splitlines(keepends=True)
    damaged = {
        "value": before.replace(b'"value": 0.', b'"value": 0.9', 1),
        "line": b"".join(lines[:3] + lines[4:]),
        "empty": b"",
        "nested": b"[" * 10**5,
        "header": lines[0],
        "gone": None,
    }[damage_of]
    file.unlink() if damaged is None else file.write_bytes(damaged)
    refused = invoke("report", path, "--suite", SUITE)
    assert refused.exit_code == 2
    assert f"prefbench score {path}" in refused.output
    assert len(refused.output.splitlines()) == 1
    again = invoke("score", path, "--suite", SUITE, "--metrics", f"{drawn / 'redness.py'}:Redness")
    assert again.exit_code == 0, again.output
    assert file.read_bytes() == before


def test_score_goes_on_after_a_folder_that_it_cannot_score(runs: Path, drawn: Path) -> None:
    damage(one(runs))
    metric = f"{drawn / 'redness.py'}:Redness"
    done = invoke("score", *sorted(runs.iterdir()), "--suite", SUITE, "--metrics", metric)
    assert done.exit_code == 2
    assert "left out" in done.output
    assert "prompt-only on AuditedSuite" in done.output or "redness" in done.output


def test_an_audit_of_several_fails_where_one_cannot_be_read(runs: Path) -> None:
    damage(one(runs))
    done = invoke("audit", *sorted(runs.iterdir()), "--suite", SUITE)
    assert done.exit_code == 1
    assert "left out" in done.output


def test_a_full_disk_anywhere_says_how_to_go_on(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("prefbench.calls.ReportResult.write", full)
    done = invoke("report", one(runs), "--suite", SUITE)
    assert done.exit_code == 2
    assert "No space left on device; make room and give the same command again" in done.output

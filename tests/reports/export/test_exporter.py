"""What holds of every form: plain rows as stored, bounded pictures, whole folders, nothing of the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from prefbench.api import ALL, PrefbenchError, ReportContext, Sample
from prefbench.check import check_report
from prefbench.cli.report import report
from prefbench.reports.export import exporter as exporters
from prefbench.reports.export.exporter import Exporter
from prefbench.reports.export.folder import new_folder
from prefbench.reports.export.gather import gather
from prefbench.reports.export.hub_dataset import HubDataset
from prefbench.reports.export.inspect_log import InspectLogs
from prefbench.reports.export.keys import flat_numbers
from prefbench.reports.export.lmms_results import LmmsResults
from prefbench.reports.export.mlflow_store import MlflowStore
from prefbench.reports.export.portable import portable_command, portable_text
from prefbench.reports.export.rows import RunRows, shown_samples
from prefbench.reports.export.wandb_runs import WandbRuns
from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import HISTORIES, build

from .conftest import Write

LIGHT = [HubDataset, InspectLogs, LmmsResults]
ALL_FORMS = [*LIGHT, MlflowStore, WandbRuns]
CONTEXT = ReportContext(lambda: HISTORIES)


def test_numbers_are_the_stored_ones_and_no_run_loses_samples(runs: list[ScoredFolder]) -> None:
    export = gather(runs, 200)
    assert [run.label for run in export.runs] == ["ours", "copy", "prompt-only"]
    for run, source in zip(export.runs, runs, strict=True):
        handed = {(row.metric, row.kind): row for row in run.summary}
        assert [handed[row.metric, row.kind] for row in source.summary()] == list(source.summary())
        numbers = flat_numbers(run)
        for row in source.summary():
            key = row.metric if row.kind == ALL else f"kind/{row.kind}/{row.metric}"
            assert (numbers.get(key), numbers.get(f"{key}_low")) == (row.value, row.low)
            assert numbers[f"{key}_missing"] == row.missing
    assert [run.is_control for run in export.runs] == [False, True, False]
    assert [(run.drawn, run.failed) for run in export.runs] == [(8, 4), (12, 0), (12, 0)]


def test_what_is_worst_is_said_of_each_run(runs: list[ScoredFolder]) -> None:
    ours, copy, base = gather(runs, 5).runs
    assert any("4 of 12 samples failed" in line for line in ours.worst)
    assert any("fails the audit: rows" in line for line in copy.worst)
    assert "passes the audit" in base.worst
    assert any("lowest utility of a kind of user" in line for line in copy.worst)


def test_a_missing_value_is_none_and_never_zero(runs: list[ScoredFolder]) -> None:
    base = gather(runs, 5).runs[2]
    of_bob = [sample.scores["utility"] for sample in base.samples() if sample.user == "bob"]
    assert of_bob == [None] * 4
    failed = [sample for sample in gather(runs, 5).runs[0].samples() if sample.status == "failed"]
    assert {(s.user, s.image, s.scores["utility"]) for s in failed} == {("cyd", None, None)}


def test_pictures_are_of_every_user_in_turn() -> None:
    def sample(user: str, case: str, index: int, image: str | None) -> Sample:
        key = f"{user}{case}{index}"
        return Sample(key, user, case, "p", index, 1, "ok" if image else "failed", image)

    samples = [sample("a", case, index, "0" * 64) for case in "xy" for index in (0, 1)]
    samples += [sample("b", "x", 0, None), sample("b", "x", 1, "1" * 64), sample("c", "x", 0, "2" * 64)]
    assert shown_samples(samples, 3) == {"ax0", "bx1", "cx0"}
    assert shown_samples(samples, 4) == {"ax0", "bx1", "cx0", "ay0"}
    assert shown_samples(samples, 0) == frozenset()
    assert len(shown_samples(samples, 100)) == 6


@pytest.mark.parametrize(
    ("text", "portable"),
    [
        ("OSError: /home/me/a b/w.bin", "OSError: a b/w.bin"),
        ("at ~/runs/x.png, ../y/z.png (./k/l.png)", "at x.png, z.png (l.png)"),
        ("file:///home/me/w.bin", "w.bin"),
        (r"C:\Users\me\w.bin is gone", "w.bin is gone"),
        ("https://example.org/a/b and org/model stay", "https://example.org/a/b and org/model stay"),
        ("weights=/mnt/disk/w.bin", "weights=w.bin"),
        ("src:/mnt/disk/w.bin", "src:w.bin"),
    ],
)
def test_texts_lose_the_folders_of_a_machine(text: str, portable: str) -> None:
    assert portable_text(text) == portable


def test_a_command_with_an_open_quote_is_kept_without_folders() -> None:
    assert portable_command("prefbench run 'x --out /home/me/runs/a") == "prefbench run 'x --out a"
    assert portable_command("prefbench run --method ours --out /home/me/runs") == "prefbench run --method ours"


@pytest.mark.parametrize("form", LIGHT)
def test_nothing_of_the_machine_is_written(form: type[Exporter], write: Write, tmp_path: Path) -> None:
    folder = write(form())
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"a.bin" in content, "the error itself is there"
    for secret in (b"/home/me", str(tmp_path).encode(), str(Path.home()).encode() + b"/"):
        assert secret not in content


@pytest.mark.parametrize("form", ALL_FORMS)
def test_a_run_that_was_not_scored_is_refused_in_one_line(
    form: type[Exporter], runs: list[ScoredFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "needs", ())
    bare = build(tmp_path / "bare", "ours", 0.5)
    for path in (bare.path / "scores").iterdir():
        path.unlink()
    with pytest.raises(PrefbenchError, match="was not scored yet; prefbench score") as caught:
        form().measure([*runs, ScoredFolder.open(bare.path)], CONTEXT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", [MlflowStore, WandbRuns])
def test_a_missing_package_is_one_line_with_its_extra(
    form: type[Exporter], runs: list[ScoredFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporters, "find_spec", lambda _: None)
    with pytest.raises(PrefbenchError, match=rf"needs the package .*: pip install 'prefbench\[{form.card.name}\]'"):
        form().measure(runs, CONTEXT)


@pytest.mark.slow
@pytest.mark.parametrize("form", LIGHT)
def test_the_light_forms_conform(form: type[Exporter]) -> None:
    assert {finding.outcome for finding in check_report(form)} == {"ok"}


@pytest.mark.parametrize("form", LIGHT)
def test_a_write_that_breaks_leaves_nothing(
    form: type[Exporter], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def broken(_: RunRows, digest: str) -> bytes:
        calls.append(digest)
        if len(calls) < 3:
            return b"x"
        raise KeyboardInterrupt

    monkeypatch.setattr(RunRows, "png", broken)
    with pytest.raises(KeyboardInterrupt):
        write(form())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_picture_is_one_line_and_leaves_nothing(
    runs: list[ScoredFolder], write: Write, tmp_path: Path
) -> None:
    digest = next(sample.image for sample in runs[0].samples if sample.image)
    runs[0].folder.image_path(digest).write_bytes(b"no picture")
    with pytest.raises(PrefbenchError, match=digest[:12]):
        write(LmmsResults())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_is_there_is_not_touched(write: Write, tmp_path: Path) -> None:
    own = tmp_path / "out" / "hub" / "mine.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(PrefbenchError, match="is there already"):
        write(HubDataset())
    assert [path.name for path in own.parent.iterdir()] == ["mine.txt"]
    own.unlink()
    assert (write(HubDataset()) / "README.md").is_file(), "an empty folder is taken"


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PrefbenchError, match="is there already"), new_folder(tmp_path / "link"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_write_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from prefbench.reports.export.folder import new_folder\n"
        "with new_folder(Path(sys.argv[1]) / 'hub') as folder:\n"
        "    (folder / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".prefbench-")] == []


def test_the_command_writes_a_form_and_says_what_is_left_out(runs: list[ScoredFolder], tmp_path: Path) -> None:
    paths = [str(run.path) for run in runs]
    out = str(tmp_path / "handed")
    done = CliRunner().invoke(report, [*paths, "--format", "lmms", "-p", "pictures=3", "--out", out])
    assert done.exit_code == 0, done.output
    assert "ours: 5 pictures of 8 left out; -p pictures=8 takes all" in done.output
    assert len(list((tmp_path / "handed" / "lmms" / "ours" / "images").iterdir())) == 3
    both = CliRunner().invoke(report, [*paths, "--format", "lmms", "--name", "duels"])
    assert both.exit_code == 2
    assert "give one of them" in both.output


def test_no_number_of_pictures_is_below_zero() -> None:
    with pytest.raises(PrefbenchError, match="pictures must be 0 or more, got -1"):
        LmmsResults(pictures=-1)

"""A run folder of somebody else changes nothing outside of itself, whatever links it holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from prefbench.api import Grid, PrefbenchError, Report, ReportCard, ReportContext, ScoredRun
from prefbench.calls import ReportResult
from prefbench.check.made_up_runs import made_up_runs
from prefbench.cli.main import main
from prefbench.files import write_atomic
from prefbench.models.extractors.style_statistics import StyleStatistics
from prefbench.run.folder import RunFolder
from prefbench.run.row_kinds import RepresentationRow, StartRow
from prefbench.score.cache import FeatureCache
from tests.support.stored import profile

LEFTOVER = ".prefbench-0123456789abcdef.tmp"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up_runs(tmp_path_factory.mktemp("made-up"))[1].path


@pytest.fixture
def theirs(finished: Path, tmp_path: Path) -> RunFolder:
    shutil.copytree(finished, tmp_path / "theirs")
    return RunFolder(tmp_path / "theirs")


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Files of the reader's own, named like those that prefbench writes and cleans away."""
    names = ("report.md", "rows.csv", "table.tex", "0.jsonl", "made-up-score.jsonl", "run.json", "notes.txt", LEFTOVER)
    (tmp_path / "documents" / "zz").mkdir(parents=True)
    for name in names:
        (tmp_path / "documents" / name).write_text("mine\n")
        (tmp_path / "documents" / "zz" / name).write_text("mine\n")
    return tmp_path / "documents"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (8, 8, 3), dtype=np.uint8))


def link(path: Path, target: Path) -> None:
    """Puts a link in the place of a file or folder."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target, target_is_directory=target.is_dir())


def features(folder: RunFolder) -> None:
    FeatureCache(folder.path, StyleStatistics()).get(["a"], lambda _: [np.asarray(picture())])


STATES, START = RepresentationRow("ann", "key", 0.0, "ok"), StartRow("now", 4, None, None, {})
WRITES: dict[str, tuple[str, Callable[[RunFolder], object]]] = {
    "a sample": ("samples", lambda f: f.append_samples(f.samples().values(), worker="0")),
    "a row": ("samples/0.jsonl", lambda f: f.append_samples(f.samples().values())),
    "a profile": ("profiles.jsonl", lambda f: f.append_profile(profile("ann", "0" * 64))),
    "a profile's bytes": ("profiles", lambda f: f.put_payload("0" * 64, b"data")),
    "a representation": ("representations", lambda f: f.put_representation("ann", b"data")),
    "the row of a representation": ("representations.jsonl", lambda f: f.append_representation(STATES)),
    "a start": ("starts.jsonl", lambda f: f.append_start(START)),
    "scores": ("scores", lambda f: f.write_scores("made-up-score", {}, [])),
    "scores that go": ("scores", lambda f: f.drop_scores("made-up-score")),
    "an image": ("images", lambda f: f.put_image(picture())),
    "features": ("features", features),
}


@pytest.mark.parametrize("what", WRITES)
def test_nothing_is_written_or_deleted_through_a_link(what: str, theirs: RunFolder, documents: Path) -> None:
    name, write = WRITES[what]
    target = documents / "notes.txt" if name.endswith(".jsonl") else documents
    samples = theirs.samples()
    link(theirs.path / name, target)
    theirs.samples = lambda: samples  # type: ignore[method-assign]
    before = contents(documents)
    with pytest.raises(PrefbenchError, match="nothing is written through it"):
        write(theirs)
    assert contents(documents) == before


@pytest.mark.parametrize("what", WRITES)
def test_the_same_is_written_where_there_is_no_link(what: str, theirs: RunFolder) -> None:
    before = contents(theirs.path)
    WRITES[what][1](theirs)
    assert contents(theirs.path) != before


def test_a_run_folder_that_is_a_link_itself_is_written_into(theirs: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(theirs.path, target_is_directory=True)
    shortcut = RunFolder(tmp_path / "shortcut")
    with shortcut.locked():
        digest = shortcut.put_image(picture())
        shortcut.append_samples(theirs.samples().values(), worker="1")
    assert theirs.image_path(digest).is_file()
    assert (theirs.path / "samples" / "1.jsonl").is_file()


@pytest.mark.parametrize("name", [".lock", ".owner"])
def test_the_lock_of_a_folder_empties_no_file_elsewhere(name: str, theirs: RunFolder, documents: Path) -> None:
    link(theirs.path / name, documents / "notes.txt")
    before = contents(documents)
    if name == ".lock":
        with pytest.raises(PrefbenchError, match=r"\.lock is a link or no plain file"), theirs.locked():
            pass
    else:
        with theirs.locked():
            assert not (theirs.path / name).is_symlink(), "the link is replaced"
    assert contents(documents) == before


def test_a_file_with_a_second_name_elsewhere_is_not_appended_to(theirs: RunFolder, documents: Path) -> None:
    rows = theirs.path / "starts.jsonl"
    os.link(documents / "notes.txt", rows)
    with pytest.raises(PrefbenchError, match="nothing is written through it"):
        theirs.append_start(START)
    assert (documents / "notes.txt").read_text() == "mine\n"


def test_leftovers_of_a_kill_are_removed_inside_alone(theirs: RunFolder, documents: Path) -> None:
    link(theirs.path / "images" / "zz", documents)
    own = [theirs.path / LEFTOVER, theirs.path / "scores" / LEFTOVER, theirs.path / "report" / "deep" / LEFTOVER]
    kept = [theirs.path / ".notes.tmp", theirs.path / "scores" / ".mine.123.tmp", theirs.path / f"x{LEFTOVER}"]
    for path in (*own, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    os.mkfifo(theirs.path / "scores" / LEFTOVER.replace("0", "f"))
    before = contents(documents)
    with theirs.locked():
        pass
    assert contents(documents) == before
    assert not any(path.exists() for path in own)
    assert all(path.exists() for path in kept)


def test_the_temporary_name_of_a_file_cannot_be_foreseen_or_followed(tmp_path: Path, documents: Path) -> None:
    (tmp_path / ".page.md.tmp").symlink_to(documents / "notes.txt")
    for process in range(os.getpid() - 5, os.getpid() + 5):
        (tmp_path / f".page.md.{process}.tmp").symlink_to(documents / "notes.txt")
    (tmp_path / "page.md").symlink_to(documents / "notes.txt")
    write_atomic(tmp_path / "page.md", "new")
    assert (documents / "notes.txt").read_text() == "mine\n"
    assert not (tmp_path / "page.md").is_symlink()
    assert (tmp_path / "page.md").read_text() == "new"


def test_a_report_stays_in_the_run_folder(theirs: RunFolder, documents: Path) -> None:
    link(theirs.path / "report", documents)
    before = contents(documents)
    outcome = CliRunner().invoke(main, ["report", str(theirs.path)])
    assert outcome.exit_code == 2
    assert "report is no folder of its own: nothing is written through it" in outcome.stderr
    assert contents(documents) == before


class Names(Report[list[str]]):
    """What is written by default: the plain data alone."""

    card = ReportCard("names", "1", "names of runs", takes="runs")

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> list[str]:  # noqa: ARG002
        return [run.path.name for run in runs]

    def as_json(self, result: list[str]) -> list[dict[str, str]]:
        return [{"name": name} for name in result]

    def tables(self, result: list[str]) -> Sequence[Grid]:  # noqa: ARG002
        return ()


def test_a_report_goes_where_the_reader_says_even_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    ReportResult(Names(), ["theirs"]).write(tmp_path / "out")
    assert (tmp_path / "disk" / "names.json").is_file()


def test_a_call_writes_through_no_link_of_a_run_folder_either(theirs: RunFolder, documents: Path) -> None:
    link(theirs.path / "pages", documents)
    with pytest.raises(PrefbenchError, match="pages is no folder of its own"):
        ReportResult(Names(), ["theirs"]).write(theirs.path / "pages")
    assert not (documents / "names.json").exists()


def test_a_folder_that_is_no_folder_is_one_line(theirs: RunFolder) -> None:
    shutil.rmtree(theirs.path / "scores")
    (theirs.path / "scores").write_text("a file")
    with pytest.raises(PrefbenchError, match="scores is no folder of its own"):
        theirs.write_scores("fid", {}, [])

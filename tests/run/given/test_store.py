"""Given images as a run: a folder like any other, that goes on where it ended, and needs no backbone."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

import prefbench
from prefbench.api import FailedSamplesError, PrefbenchError
from prefbench.api.runs import NO_BACKBONE, is_given
from prefbench.cli.main import main
from prefbench.registry import load
from prefbench.run.folder import RunFolder
from prefbench.run.given import prepare
from prefbench.run.given.prepare import GivenRun
from prefbench.run.given.store import of_other_images, store
from prefbench.run.images import intact
from prefbench.run.plan import RunSpec, make_plan, sample_seed
from prefbench.run.prepare import load_suite
from prefbench.run.watch import Watch
from prefbench.score.given_images import store_given
from tests.support.finished_images import REDNESS, all_rows, given, write_drawn, write_rows
from tests.support.judged_folders import picture


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))


def content(folder: Path) -> dict[str, bytes]:
    """All files of a run but those that say when it was."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("starts.jsonl", ".owner", ".lock")
    }


def redness(folder: Path) -> str:
    """The name of a metric that needs nothing."""
    (folder / "redness.py").write_text(REDNESS)
    return f"{folder / 'redness.py'}:Redness"


def test_rows_hold_what_was_given_and_what_the_suite_asked_for(tmp_path: Path) -> None:
    rows = [{**row, "seconds": 2.5, "prompt_used": f"{row['prompt']}, oil"} for row in all_rows()]
    run = given(tmp_path, write_rows(write_drawn(tmp_path / "out") / "a.csv", rows))
    assert store(run) == 18
    folder = RunFolder(run.folder.path)
    samples = list(folder.samples().values())
    first = samples[0]
    assert (first.user, first.case, first.prompt, first.index) == ("ann", "ann/0", "a red cat", 0)
    assert (first.status, first.seconds, first.prompt_used, first.nfe) == ("ok", 2.5, "a red cat, oil", None)
    assert first.seed == sample_seed(0, "mine/", "ann", "a red cat", 0), "runs that were drawn here have the same"
    assert folder.image(first.image or "").tobytes() == Image.open(tmp_path / "out/ann/0-0.png").tobytes()
    assert len(intact(folder.path, [sample.image or "" for sample in samples])) == 18
    assert folder.profiles() == {}


def test_the_description_says_that_nothing_was_drawn_here(tmp_path: Path) -> None:
    run = given(tmp_path, write_drawn(tmp_path / "out"))
    store(run)
    description = RunFolder(run.folder.path).read_description()
    assert description["backbone"] == {"name": NO_BACKBONE, "stated": "not stated"}
    assert is_given(description["spec"])
    assert description["represents"] is False
    assert description["given"]["stated"] == []
    assert description["format"] == 2
    assert str(tmp_path) not in json.dumps({name: description[name] for name in ("spec", "method", "given")})


def test_the_same_call_again_changes_nothing(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    (folder / "ann" / "0-0.png").unlink()
    run = given(tmp_path, folder)
    assert store(run) == 17
    before = content(run.folder.path)
    assert store(given(tmp_path, folder)) == 0
    assert content(run.folder.path) == before
    assert len(RunFolder(run.folder.path).starts()) == 1


@pytest.mark.parametrize("after", [0, 1, 9, 17])
def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(prepare, "_BATCH", 4)
    folder = write_drawn(tmp_path / "out")
    whole = given(tmp_path, folder, out=tmp_path / "whole")
    store(whole)
    killed = given(tmp_path, folder, out=tmp_path / "killed")
    put, stored = RunFolder.put_image, list[str]()

    def put_until(self: RunFolder, image: Image.Image) -> str:
        if len(stored) == after:
            raise KeyboardInterrupt
        stored.append(put(self, image))
        return stored[-1]

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "put_image", put_until)
        with pytest.raises(KeyboardInterrupt):
            store(killed)
    assert store(given(tmp_path, folder, out=tmp_path / "killed")) == 18 - after // 4 * 4
    names = ("run.json", "samples/0.jsonl")
    assert all(content(killed.folder.path)[name] == content(whole.folder.path)[name] for name in names)
    assert content(killed.folder.path).keys() == content(whole.folder.path).keys()


def test_a_damaged_stored_image_is_stored_again(tmp_path: Path) -> None:
    run = given(tmp_path, write_drawn(tmp_path / "out"))
    store(run)
    path = next((run.folder.path / "images").glob("*/*.png"))
    path.write_bytes(b"")
    assert store(run) == 1
    assert path.stat().st_size > 0


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    run = given(tmp_path, write_drawn(tmp_path / "out"))
    picture(4).save(tmp_path / "out" / "ben" / "0-0.png")
    with pytest.raises(PrefbenchError, match=r"ben/0-0.png: the file was changed meanwhile"):
        store(run)


def test_two_pictures_for_one_sample_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    picture(9).save(write_drawn(tmp_path / "out") / "ann" / "0-0.bmp")
    run = given(tmp_path, tmp_path / "out")
    with pytest.raises(PrefbenchError, match=r"nothing tells which image counts: ann/0-0.png: ann 0-0 is ann/0-0.bmp"):
        store(run)
    assert not run.folder.path.exists()


def test_other_images_of_the_same_name_are_another_run_that_is_named(tmp_path: Path) -> None:
    first = given(tmp_path, write_drawn(tmp_path / "out"))
    store(first)
    assert of_other_images(first) == []
    second = given(tmp_path, write_drawn(tmp_path / "other", first=99))
    assert of_other_images(second) == [first.folder.path]
    assert of_other_images(given(tmp_path, tmp_path / "other", "another name")) == []


def _incomplete(root: Path) -> GivenRun:
    folder = write_drawn(root / "out")
    (folder / "ann" / "0-0.png").unlink()
    (folder / "ann" / "0-1.png").write_bytes(b"no picture")
    return given(root, folder)


def test_incomplete_images_are_refused_unless_that_is_allowed(tmp_path: Path) -> None:
    run, metric = _incomplete(tmp_path), redness(tmp_path)
    with pytest.raises(FailedSamplesError, match="mine: 2 of 18 images are missing or cannot be read"):
        store_given(run, [metric], Watch(), allow_missing=False)
    assert not run.folder.path.exists()
    path = store_given(run, [metric], Watch(), allow_missing=True)
    failed = {row.error for row in RunFolder(path).samples().values() if row.status == "failed"}
    assert {str(error).partition(" (")[0] for error in failed} == {
        "no image was given", "ann/0-1.png: cannot be decoded: it is no PNG, JPEG, WebP, GIF, BMP or TIFF, or its "
        "beginning is damaged",
    }  # fmt: skip


def test_no_image_at_all_is_refused_with_the_reason_of_the_first(tmp_path: Path) -> None:
    rows = [{**row, "user": f"{row['user']}x"} for row in all_rows()]
    run = given(tmp_path, write_rows(write_drawn(tmp_path / "out") / "a.csv", rows))
    with pytest.raises(PrefbenchError, match=r"none of 18 images is found; a.csv row 1: there is no user 'annx'"):
        store_given(run, (), Watch(), allow_missing=True)


def test_from_python_images_are_scored_in_one_call(tmp_path: Path) -> None:
    suite = given(tmp_path, write_drawn(tmp_path / "out")).data.settings.suite
    run = prefbench.score_images(
        str(tmp_path / "out"), suite=suite, name="mine", out=tmp_path / "runs", metrics=[redness(tmp_path)]
    )
    frame = run.samples()
    expected = [picture(10**6 + 1 + n).getchannel("R") for n in range(18)]
    means = [sum(one.tobytes()) / 256 / 255 for one in expected]
    assert frame["redness"].tolist() == pytest.approx(means)
    assert run.method == "mine"
    cost = run.scored.cost()
    assert {getattr(cost, name) for name in vars(cost)} == {None}, "nothing is known of the cost, which is not 0"


def test_seconds_that_some_rows_give_are_averaged_over_these(tmp_path: Path) -> None:
    rows = [{**row, "seconds": 3 if row["user"] == "ann" else ""} for row in all_rows()]
    table = write_rows(write_drawn(tmp_path / "out") / "a.csv", rows)
    suite = given(tmp_path, table).data.settings.suite
    run = prefbench.score_images(table, suite=suite, name="mine", out=tmp_path, metrics=redness(tmp_path))
    assert run.scored.cost().seconds_per_image == 3.0


PROGRAM = """
import sys
import prefbench
import prefbench.models.backbones
sys.modules["prefbench.models.backbones.loader"] = None  # importing it now fails
run = prefbench.score_images(sys.argv[1], suite=sys.argv[2], name="mine", out=sys.argv[3], metrics=sys.argv[4])
prefbench.report([run])
print([name for name in ("torch", "diffusers", "transformers") if name in sys.modules])
"""


@pytest.mark.slow
def test_no_backbone_and_no_pipeline_is_loaded(tmp_path: Path) -> None:
    """In a process of its own, since others of this one load them."""
    suite = given(tmp_path, write_drawn(tmp_path / "out")).data.settings.suite
    arguments = [tmp_path / "out", suite, tmp_path / "runs", redness(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] in ("[]", "['torch']"), "metrics may need PyTorch, none needs a pipeline"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"suite": "minne"}, "unknown suite 'minne'"),
        ({"split": "tset"}, "unknown split 'tset'; did you mean 'test'"),
        ({"split": "val"}, "users must be|has no case to draw for users of val"),
        ({"users": 4}, "users must be 1 to 3, got 4"),
        ({"samples": 0}, "samples"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_a_mistake_in_what_is_asked_for_is_one_line(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(PrefbenchError, match=said) as refused:
        given(tmp_path, write_drawn(tmp_path / "out"), **settings)
    assert "\n" not in str(refused.value)


def test_keys_are_of_the_plan_that_the_spec_gives(tmp_path: Path) -> None:
    """So that an audit finds each row as planned: another method, version or user has other keys."""
    run = given(tmp_path, write_drawn(tmp_path / "out"))
    store(run)
    recorded = RunSpec(**RunFolder(run.folder.path).read_description()["spec"])
    suite, _ = load_suite(run.data.settings.suite)
    assert suite.digest == recorded.suite_digest
    assert [one.key for one in run.data.plan(recorded)] == list(RunFolder(run.folder.path).samples())


FRAME = {"role": 'role = "crowd"', "control": 'control = "other-user"'}


@pytest.mark.parametrize("entry", FRAME)
def test_images_of_the_frame_are_runs_that_an_audit_finds_as_planned(tmp_path: Path, entry: str) -> None:
    folder = write_drawn(tmp_path / "out")
    (folder / "card.toml").write_text(f'name = "mine"\nbackbone = "sdxl"\n{FRAME[entry]}\n')
    run = given(tmp_path, folder)
    store(run)
    description = RunFolder(run.folder.path).read_description()
    control = "other-user" if entry == "control" else None
    assert description["spec"]["control"] == control
    assert description["given"].get("role") == ("crowd" if entry == "role" else None)
    loaded, _ = load_suite(run.data.settings.suite)
    shown = {user: loaded.history(user) for user in run.data.kinds}
    histories = load("control", control)(shown) if control else shown
    cases = [case for user in shown for case in loaded.cases(user)]
    planned = chain(*make_plan(RunSpec(**description["spec"]), cases, histories))
    assert [one.key for one in planned] == list(RunFolder(run.folder.path).samples())


def test_what_a_card_says_of_the_frame_makes_another_run_and_silence_the_run_of_before(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    versions = []
    for entry in ("", *FRAME.values()):
        (folder / "card.toml").write_text(f'backbone = "sdxl"\n{entry}\n')
        spec = given(tmp_path, folder).spec
        versions.append((spec.id, spec.method_version))
    assert len(set(versions)) == 3
    assert versions[0][1] == versions[2][1], "a control is in the spec itself"


def test_a_method_and_its_control_may_be_handed_in_together(tmp_path: Path) -> None:
    cards = {"ours": "", "theirs": 'control = "other-user"'}
    for n, (name, entry) in enumerate(cards.items()):
        folder = write_drawn(tmp_path / "lab" / name, first=100 * n)
        (folder / "card.toml").write_text(f'name = "mine"\nbackbone = "sdxl"\n{entry}\n')
    suite = given(tmp_path, tmp_path / "lab/ours").data.settings.suite
    done = CliRunner().invoke(main, ["score", "--images", str(tmp_path / "lab"), "--suite", suite, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "mine + other-user: images for mine" in done.output

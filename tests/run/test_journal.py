"""Rows of a run folder: what is not as it was written is one line with file and line number."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prefbench.api import PrefbenchError, Sample
from prefbench.run.folder import RunFolder
from tests.support.stored import SPEC, profile

OLD = Path(__file__).parents[1] / "score" / "run-0.1"
"""A run of three users as version 0.1 stored it, without its images."""
DESCRIPTION = {"spec": SPEC, "method": {"name": "m"}, "kinds": {"ann": "user", "bob": "user"}, "planned": 6}


def sample(key: str, **changes: object) -> Sample:
    row = {"user": "ann", "case": "ann/0", "prompt": "a cat", "index": 0, "seed": 1, "status": "failed"}
    return Sample(key=key, **(row | changes))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.write_description(DESCRIPTION)
    folder.append_samples([sample(name, index=i) for i, name in enumerate("abcdef")])
    return folder


@pytest.fixture
def old(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(OLD, tmp_path / "old")))


def rows_of(folder: RunFolder) -> Path:
    return folder.path / "samples" / "0.jsonl"


def edit(path: Path, change: Callable[[list[bytes]], object]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def set_line(number: int, old: bytes, new: bytes) -> Callable[[list[bytes]], object]:
    def change(lines: list[bytes]) -> None:
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (set_line(4, b'"ann"', b'"bob"'), 4),
        (set_line(4, b"a cat", b"a dog"), 4),
        (set_line(4, b'"index": 2', b'"index": 1'), 4),
        (set_line(4, b"{", b"{ "), 4),
        (lambda lines: lines.pop(3), 4),
        (lambda lines: lines.insert(3, lines[3]), 5),
        (lambda lines: lines.insert(3, lines.pop(5)), 4),
        (lambda lines: lines.insert(3, b"{}\n"), 4),
        (lambda lines: lines.insert(3, b"\n"), 4),
        (lambda lines: lines.append(b"{}\n"), 8),
        (lambda lines: lines.append(b'{"user": "x"}\n'), 8),
        (lambda lines: lines.pop(0), 1),
    ],
    ids=["user", "prompt", "index", "blank", "lost", "twice", "moved", "empty", "gap", "added", "foreign", "header"],
)
def test_a_row_that_is_not_as_it_was_written_is_named_by_its_line(
    folder: RunFolder, change: Callable[[list[bytes]], object], number: int
) -> None:
    edit(rows_of(folder), change)
    with pytest.raises(PrefbenchError, match=rf"samples/0\.jsonl line {number} .*run the same command again") as caught:
        folder.samples()
    assert "\n" not in str(caught.value)


def test_nothing_is_appended_after_a_damaged_header(folder: RunFolder) -> None:
    edit(rows_of(folder), lambda lines: lines.__delitem__(slice(1, None)))
    edit(rows_of(folder), set_line(1, b'"run": "', b'"run": "x'))
    with pytest.raises(PrefbenchError, match=r"0\.jsonl line 1 is of another run"):
        folder.append_samples([sample("g")])


def test_rows_of_another_run_are_refused(folder: RunFolder, tmp_path: Path) -> None:
    other = RunFolder(tmp_path / "other")
    other.write_description({**DESCRIPTION, "spec": {**SPEC, "method": "another"}})
    other.append_samples([sample("a")])
    shutil.copyfile(rows_of(other), rows_of(folder))
    with pytest.raises(PrefbenchError, match=r"0\.jsonl line 1 is of another run"):
        folder.samples()


def test_a_run_that_goes_on_in_other_batches_is_the_same_run(folder: RunFolder) -> None:
    folder.write_description({**DESCRIPTION, "spec": {**SPEC, "batch": 50}})
    assert set(folder.samples()) == set("abcdef")


def test_a_copy_of_a_file_of_rows_is_no_file_of_the_run(folder: RunFolder) -> None:
    """An older copy would else bring back what was drawn again since."""
    shutil.copyfile(rows_of(folder), rows_of(folder).with_name("0 (copy).jsonl"))
    with pytest.raises(PrefbenchError, match=r"line 1 is not the header of samples/0 \(copy\)\.jsonl"):
        folder.samples()


def test_a_later_format_is_named(folder: RunFolder) -> None:
    edit(rows_of(folder), set_line(1, b'"format": 2', b'"format": 99'))
    with pytest.raises(PrefbenchError, match=r"0\.jsonl is of format 99; this prefbench reads up to 2"):
        folder.samples()
    content = json.loads((folder.path / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(PrefbenchError, match=r"run\.json is of format 99; this prefbench reads up to 2"):
        RunFolder(folder.path).read_description()


@pytest.mark.parametrize("field", ["method", "kinds", "planned", "spec"])
def test_an_edited_description_is_found(folder: RunFolder, field: str) -> None:
    path = folder.path / "run.json"
    content = json.loads(path.read_text())
    edits = {"method": {"name": "ours"}, "kinds": {"ann": "x", "bob": "x"}, "planned": 7, "spec": {**SPEC, "seed": 1}}
    path.write_text(json.dumps({**content, field: edits[field]}))
    with pytest.raises(PrefbenchError, match=r"run\.json is damaged \(it was edited: its digest does not fit\)"):
        RunFolder(folder.path).samples()


def test_a_description_without_its_digest_is_no_older_one(folder: RunFolder) -> None:
    path = folder.path / "run.json"
    content = json.loads(path.read_text())
    bare = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    path.write_text(json.dumps({**bare, "kinds": {"ann": "x", "bob": "x"}}))
    with pytest.raises(PrefbenchError, match=r"0\.jsonl line 1 .*no digest: one of the two was edited"):
        RunFolder(folder.path).samples()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (sample("x" * 3000), "key: String should have at most 2000 characters"),
        (sample("g", index=-1), "index: Input should be greater than or equal to 0"),
        (sample("g", seconds=float("nan")), "seconds: Input should be a finite number"),
        (sample("g", image="../../elsewhere"), "image: String should match pattern"),
        (sample("g", status="sideways"), "status: Input should be 'ok' or 'failed'"),
        (sample("g", prompt="\ud800"), "Invalid JSON: unexpected end of hex escape"),
    ],
)
def test_what_no_row_can_hold_is_not_stored(folder: RunFolder, row: Sample, said: str) -> None:
    before = rows_of(folder).read_bytes()
    with pytest.raises(PrefbenchError, match="such a row cannot be stored") as caught:
        folder.append_samples([row])
    assert said in str(caught.value)
    assert rows_of(folder).read_bytes() == before


def test_pipes_devices_and_endless_files_are_one_line(folder: RunFolder) -> None:
    rows_of(folder).unlink()
    os.mkfifo(rows_of(folder))
    with pytest.raises(PrefbenchError, match=r"0\.jsonl is no plain file but a pipe"):
        folder.samples()
    rows_of(folder).unlink()
    rows_of(folder).symlink_to("/dev/zero")
    with pytest.raises(PrefbenchError, match=r"0\.jsonl is no plain file but a device"):
        folder.samples()
    rows_of(folder).unlink()
    with rows_of(folder).open("wb") as endless:
        endless.truncate(40 * 2**30)
    with pytest.raises(PrefbenchError, match=r"0\.jsonl has 42,949,672,960 bytes; at most 4,294,967,296 are read"):
        folder.samples()
    with rows_of(folder).open("wb") as long:
        long.truncate(2**31)
    with pytest.raises(PrefbenchError, match=r"0\.jsonl line 1 has over 4,194,304 bytes: it is no row"):
        folder.samples()


def test_profiles_of_another_run_are_refused(folder: RunFolder) -> None:
    folder.append_profile(profile("ann", "a" * 64))
    edit(folder.path / "profiles.jsonl", set_line(2, b'"seconds": 0.0', b'"seconds": 9.0'))
    with pytest.raises(PrefbenchError, match=r"profiles\.jsonl line 2 is not as it was written"):
        folder.profiles()


def test_a_row_of_a_user_that_run_json_does_not_name_is_refused_though_every_sum_fits(folder: RunFolder) -> None:
    folder.append_samples([sample("g", user="dan\x1b"), sample("h", index=7)])
    with pytest.raises(PrefbenchError, match=r"samples/0\.jsonl line 8 is of no user that run\.json names \(dan"):
        folder.samples()
    folder.write_description({**DESCRIPTION, "kinds": {"ann": "user", "dan\x1b": "user"}})
    assert len(folder.samples()) == 8


def test_a_sample_by_two_keys_is_refused_across_files_and_one_that_was_drawn_again_is_not(folder: RunFolder) -> None:
    folder.append_samples([sample("f", index=5, seconds=2.0)])
    assert folder.samples()["f"].seconds == 2.0
    folder.append_samples([sample("g", index=5)], worker="1")
    with pytest.raises(PrefbenchError, match=r"samples/1\.jsonl line 2 is of a user, prompt and index that a row"):
        folder.samples()


def test_a_kind_of_user_that_means_all_users_is_refused(folder: RunFolder) -> None:
    folder.write_description({**DESCRIPTION, "kinds": {"ann": "all", "bob": "user"}})
    with pytest.raises(PrefbenchError, match=r"run\.json is damaged \(kinds: 'all' is no kind of user but all of them"):
        folder.samples()


# ---------------------------------------------------------------------------------------------- folders of format 1


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            (b'"user": "test-0001"', b'"user": "test-0002"'),
            r"was edited \(its seed is of another",
        ),
        ((b'"user": "test-0001"', b'"user": "nobody"'), r"is of no user that run.json names \(nobody\)"),
        ((b'"prompt": "', b'"prompt": "not '), r"was edited \(its seed is of another"),
        ((b'"key": "', b'"key": "0'), r"was edited \(its key is of another"),
        ((b'"seconds": ', b'"seconds": -'), r"is no row \(seconds: Input should be greater than or equal to 0"),
        ((b'"status"', b'"state"'), r"is no row \(status: Field required"),
    ],
)
def test_edited_rows_without_sums_are_found_by_their_seed_and_key(
    old: RunFolder, damage: tuple[bytes, bytes], said: str
) -> None:
    edit(rows_of(old), set_line(7, *damage))
    with pytest.raises(PrefbenchError, match=rf"samples/0\.jsonl line 7 {said}"):
        old.samples()


def test_cut_rows_of_an_older_folder_are_left_out_with_a_line(old: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    edit(rows_of(old), lambda lines: lines.insert(3, lines[3][:50] + b"\n"))
    assert len(old.samples()) == 15
    assert "0.jsonl line 4 is cut off and left out" in caplog.text


def test_an_older_folder_goes_on_as_it_was_begun(old: RunFolder) -> None:
    row = next(iter(old.samples().values()))
    before = rows_of(old).read_bytes()
    old.append_samples([row])
    assert rows_of(old).read_bytes().startswith(before)
    assert len(old.samples()) == 15
    assert b'"sum"' not in rows_of(old).read_bytes()

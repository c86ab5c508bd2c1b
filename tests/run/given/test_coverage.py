"""Finished images: what is found of them, what is missing, and the line for each mistake."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from prefbench.api import Case, PrefbenchError
from prefbench.run.given.image import GivenImage
from prefbench.run.given.layout import methods_in
from prefbench.run.given.names import folder_names
from prefbench.run.given.targets import Targets
from prefbench.run.plan import Planned
from tests.support.finished_images import PROMPTS, USERS, all_rows, counts, given, write_drawn, write_rows
from tests.support.judged_folders import picture, write_layout

ALL = {"expected": 18, "found": 18}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))


def of_rows(root: Path, rows: list[dict[str, Any]], name: str = "out.csv", **settings: Any) -> dict[str, Any]:
    """The coverage, as plain data, of a table beside the drawn images."""
    write_drawn(root / "out")
    return given(root, write_rows(root / "out" / name, rows), **settings).coverage.as_json()


def test_pictures_that_users_judged_are_counted_whoever_sees_them_and_under_whatever_name(tmp_path: Path) -> None:
    drawn = write_drawn(tmp_path / "out")
    assert given(tmp_path, drawn).coverage.copies == 0
    liked = sorted((tmp_path / "mine" / "ben" / "liked").iterdir())
    for name, path in zip(("ann/0-0", "ann/0-1", "ben/1-0", "ben/1-1", "cy/0-0", "cy/2-1"), liked, strict=True):
        (drawn / f"{name}.png").unlink()
        Image.open(path).save(drawn / f"{name}.bmp")
    coverage = given(tmp_path, drawn).coverage
    assert "6 of 18 images are no drawing but what a user judged" in coverage.as_json()["notes"]


def changed(row: int, **values: Any) -> list[dict[str, Any]]:
    """All rows, one of them with other values."""
    rows = all_rows()
    rows[row] |= values
    return rows


def test_a_folder_of_all_images_is_complete(tmp_path: Path) -> None:
    coverage = given(tmp_path, write_drawn(tmp_path / "out")).coverage
    assert counts(coverage) == ALL
    assert coverage.complete


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_of_any_kind_is_the_same_run_as_the_folder(tmp_path: Path, suffix: str) -> None:
    folder = write_drawn(tmp_path / "out")
    of_folder = given(tmp_path, folder)
    rows, path = pd.DataFrame(all_rows()), tmp_path / "out" / f"out.{suffix}"
    if suffix == "csv":
        rows.to_csv(path, index=False)
    elif suffix == "jsonl":
        rows.to_json(path, orient="records", lines=True)
    else:
        rows.to_parquet(path, index=False)
    of_table = given(tmp_path, path)
    assert counts(of_table.coverage) == ALL
    assert of_table.spec == of_folder.spec
    assert [one.key for one in of_table.plan] == [one.key for one in of_folder.plan]


def test_other_pixels_another_card_or_another_time_are_another_run(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    ids = {given(tmp_path, folder).spec.id}
    ids.add(given(tmp_path, write_rows(folder / "t.csv", [{**row, "seconds": 1.5} for row in all_rows()])).spec.id)
    (folder / "t.csv").unlink()
    (folder / "card.toml").write_text('encoders = ["mini-clip"]\n')
    ids.add(given(tmp_path, folder).spec.id)
    picture(5).save(folder / "ann" / "0-0.png")
    ids.add(given(tmp_path, folder).spec.id)
    assert len(ids) == 4


def test_a_picture_in_another_file_format_is_the_same_run(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    before = given(tmp_path, folder).spec.id
    for path in folder.glob("*/*.png"):
        Image.open(path).save(path.with_suffix(".BMP"))
        path.unlink()
    assert given(tmp_path, folder).spec.id == before


def test_missing_unreadable_and_unused_images_are_counted_apart(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    (folder / "ann" / "0-0.png").unlink()
    (folder / "ben" / "1-1.png").write_bytes(b"no picture")
    picture(1).save(folder / "cy" / "9-0.png")
    (folder / "notes.txt").write_text("hello")
    coverage = given(tmp_path, folder).coverage
    assert counts(coverage) == {"expected": 18, "found": 16, "missing": 1, "unreadable": 1, "unused": 2}
    content = coverage.as_json()
    assert content["missing"] == ["ann 0-0"]
    assert content["unreadable"][0].startswith("ben 1-1 (ben/1-1.png: cannot be decoded")
    assert content["unused"] == ["cy/9-0.png: cy has no case 9: they are 0 to 2", "1 file that is no picture (.txt)"]
    text = "\n".join(" ".join(row) for row in coverage.grid().filled[0])
    assert "missing 1 ann 0-0" in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"user": "anne"}, "out.csv row 1: there is no user 'anne'; did you mean 'ann'?"),
        ({"user": ""}, "out.csv row 1: no user is named, and there are 3"),
        ({"prompt": "a red cot"}, "out.csv row 1: ann has no prompt 'a red cot'; did you mean 'a red cat'?"),
        ({"prompt": ""}, "out.csv row 1: neither a prompt nor a case is named"),
        ({"case": "1"}, "out.csv row 1: case 1 of ann is 'a blue dog', not 'a red cat'"),
        ({"case": "7"}, "out.csv row 1: ann has no case 7: they are 0 to 2"),
        ({"case": "x"}, "out.csv row 1: ann has no case 'x'; give its number, 0 to 2"),
        ({"sample": 2}, "out.csv row 1: sample 2 of case 0 of ann; 2 samples of a case are expected (0 to 1)"),
    ],
)
def test_each_mistake_in_a_row_is_one_line(tmp_path: Path, values: Mapping[str, Any], said: str) -> None:
    content = of_rows(tmp_path, changed(0, **values))
    assert content["unused"] == [said]
    assert len(content["missing"]) == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image": "../out/ann/0-0.png"}, "row 1: image is a path inside the folder of the table"),
        ({"image": "/ann/0-0.png"}, "row 1: image is a path inside the folder of the table, got '/ann/0-0.png'"),
        ({"image": "~/0-0.png"}, "row 1: image is a path inside"),
        ({"image": "C:\\out\\0-0.png"}, "row 1: image is a path inside"),
        ({"image": ""}, "row 1: image is a path inside"),
        ({"sample": -1}, "row 1: sample is a whole number from 0 to 2^63 - 1, got '-1'"),
        ({"sample": 0.5}, "row 1: sample is a whole number"),
        ({"seed": 2**63}, "row 1: seed is a whole number"),
        ({"seconds": "fast"}, "row 1: seconds is a number from 0 on, got 'fast'"),
        ({"seconds": "inf"}, "row 1: seconds is a number from 0 on"),
        ({"seconds": -1}, "row 1: seconds is a number from 0 on"),
    ],
)
def test_a_value_without_meaning_is_refused_with_its_row(tmp_path: Path, values: Mapping[str, Any], said: str) -> None:
    with pytest.raises(PrefbenchError, match=re.escape(said)):
        of_rows(tmp_path, changed(0, **values))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"user": "a", "prompt": "b", "file": "c"}, "has no column image, with the file of each picture; its columns"),
        ({"user": "a", "text": "b", "image": "c"}, "has neither a column prompt nor a column case; its columns are"),
        ({"User": "007", "prompt": "b", "image": "c"}, "the column 'User' is not read; did you mean 'user'?"),
        ({" user": "a", "prompt": "b", "image": "c"}, "the column ' user' is not read; did you mean 'user'?"),
        ({"user_id": "a", "prompt": "b", "image": "c"}, "the column 'user_id' is not read; did you mean 'user'?"),
        ({"user": "a", "PROMPT": "b", "image": "c"}, "the column 'PROMPT' is not read; did you mean 'prompt'?"),
        ({"user": "a", "prompt": "b", "images": "c"}, "the column 'images' is not read; did you mean 'image'?"),
    ],
)
def test_a_table_without_its_columns_is_refused(tmp_path: Path, columns: dict[str, str], said: str) -> None:
    with pytest.raises(PrefbenchError, match=said):
        of_rows(tmp_path, [columns])


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    write_drawn(tmp_path / "out")
    (tmp_path / "out" / "a.csv").write_text("user,prompt,image\n")
    with pytest.raises(PrefbenchError, match=r"a.csv has no rows"):
        given(tmp_path, tmp_path / "out" / "a.csv")


def test_other_columns_are_named_and_ids_keep_their_zeros(tmp_path: Path) -> None:
    users = ("007", "08")
    write_layout(tmp_path / "mine", users)
    rows = [{**row, "mood": "x", "Image": "y"} for row in all_rows(users)]
    path = write_rows(write_drawn(tmp_path / "out", users) / "out.csv", rows)
    content = given(tmp_path, path).coverage.as_json()
    assert content["complete"]
    assert content["unused"] == ["column mood", "column Image"]


def test_texts_as_other_systems_write_them_are_understood(tmp_path: Path) -> None:
    """A byte order mark, backslashes, trailing blanks, capitals in a file's ending, another Unicode normal form."""
    users = ("ann", "zoë")
    write_layout(tmp_path / "mine", users)
    folder = write_drawn(tmp_path / "out", users)
    (folder / "zoë").rename(folder / unicodedata.normalize("NFD", "zoë"))
    (folder / "ann" / "0-0.png").rename(folder / "ann" / "0-0.PNG")
    rows = [
        {
            "user": unicodedata.normalize("NFD", row["user"]) + " ",
            "prompt": f"{row['prompt']}  ",
            "image": row["image"].replace("/", "\\"),
        }
        for row in all_rows(users)
    ]
    path = write_rows(folder / "out.CSV", rows, encoding="utf-8-sig")
    assert counts(given(tmp_path, path).coverage) == {"expected": 12, "found": 12}
    path.unlink()
    assert counts(given(tmp_path, folder).coverage) == {"expected": 12, "found": 12}


def test_a_file_that_is_not_there_is_missing_with_the_nearest_name(tmp_path: Path) -> None:
    content = of_rows(tmp_path, changed(0, image="ann/0_0.png"))
    assert content["missing"] == ["ann 0-0 (out.csv row 1: there is no file ann/0_0.png; did you mean '0-0.png'?)"]


def test_links_that_lead_out_and_pipes_are_not_read(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    picture(3).save(tmp_path / "secret.png")
    for name in ("0-0", "0-1", "1-0"):
        (folder / "ann" / f"{name}.png").unlink()
    (folder / "ann" / "0-0.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(folder / "ann" / "0-1.png")
    (folder / "ann" / "1-0.png").symlink_to(folder / "ann" / "1-1.png")
    unreadable = given(tmp_path, folder).coverage.as_json()["unreadable"]
    assert unreadable == [
        "ann 0-0 (ann/0-0.png: ann/0-0.png leads out of the folder by a link)",
        "ann 0-1 (ann/0-1.png: 0-1.png is no plain file but a pipe)",
    ]
    of_table = given(tmp_path, write_rows(folder / "out.csv", all_rows())).coverage.as_json()["unreadable"]
    assert [line.partition(" (")[0] for line in of_table] == ["ann 0-0", "ann 0-1"]


def test_a_picture_counts_as_a_person_sees_it(tmp_path: Path) -> None:
    """Turned by its metadata, alpha on white: the one door for pictures."""
    folder = write_drawn(tmp_path / "out")
    turned, clear = Image.new("RGB", (4, 2), "red"), Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "ann" / "0-0.png", exif=exif)
    clear.save(folder / "ann" / "0-1.png")
    digests = [one.digest for one in given(tmp_path, folder).coverage.expected[:2]]
    assert digests == [_digest(Image.new("RGB", (2, 4), "red")), _digest(Image.new("RGB", (2, 2), "white"))]


def _digest(image: Image.Image) -> str:
    import hashlib

    return hashlib.sha256(f"RGB {image.width}x{image.height} ".encode() + image.tobytes()).hexdigest()


def test_the_same_picture_twice_for_a_sample_counts_once(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    Image.open(folder / "ann" / "0-0.png").save(folder / "ann" / "0-0.bmp")
    coverage = given(tmp_path, folder).coverage
    assert counts(coverage) == ALL | {"duplicate": 1}
    assert coverage.conflicts == []
    assert coverage.duplicates == ["ann/0-0.png: ann 0-0 is ann/0-0.bmp already, the same picture"]


def test_two_pictures_for_one_sample_are_a_conflict(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    picture(9).save(folder / "ann" / "0-0.bmp")
    coverage = given(tmp_path, folder).coverage
    assert list(coverage.conflicts) == ["ann/0-0.png: ann 0-0 is ann/0-0.bmp already, another picture"]


def test_one_picture_for_all_and_pictures_of_one_colour_are_said(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    for path in folder.glob("ann/*.png"):
        Image.new("RGB", (8, 8), "blue").save(path)
    lines = given(tmp_path, folder).coverage.lines()
    assert lines[0] == "6 of 18 pictures are of one colour"
    assert lines[1].startswith("6 of 18 pictures equal another (6 to one of another prompt)")


def test_rows_without_a_sample_are_taken_in_their_order_and_a_seed_names_its_sample(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out")
    planned = given(tmp_path, folder).plan
    rows = [{name: row[name] for name in ("user", "prompt", "image")} for row in all_rows()]
    in_order = given(tmp_path, write_rows(folder / "a.csv", rows)).coverage
    seeds = [one.seed for one in planned]
    swapped = [{**row, "seed": seeds[i + 1 if i % 2 == 0 else i - 1]} for i, row in enumerate(rows)]
    (folder / "a.csv").unlink()
    by_seed = given(tmp_path, write_rows(folder / "b.csv", swapped)).coverage
    digests = [[one.digest for one in coverage.expected] for coverage in (in_order, by_seed)]
    assert digests[0][:4] == [digests[1][i] for i in (1, 0, 3, 2)]
    assert by_seed.seeds == "18 of 18 images drawn from the exported seed"
    assert in_order.seeds == ""


def test_fewer_samples_than_expected_name_the_option(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out", samples=1)
    coverage = given(tmp_path, folder).coverage
    assert counts(coverage) == {"expected": 18, "found": 9, "missing": 9}
    assert coverage.hint == "every case has 1 image: --samples 1 expects no more"
    assert given(tmp_path, folder, samples=1).coverage.complete


def test_users_that_are_not_asked_for_are_unused(tmp_path: Path) -> None:
    coverage = given(tmp_path, write_drawn(tmp_path / "out"), users=2).coverage
    assert counts(coverage) == {"expected": 12, "found": 12, "unused": 6}
    assert coverage.unused[0] == "cy/0-0.png: of user cy, of whom no image is expected here"


def test_one_person_needs_no_folder_of_a_user(tmp_path: Path) -> None:
    write_layout(tmp_path / "mine", ["ann"])
    folder = write_drawn(tmp_path / "out", ["ann"]) / "ann"
    assert counts(given(tmp_path, folder).coverage) == {"expected": 6, "found": 6}
    rows = [{"prompt": row["prompt"], "image": row["image"].removeprefix("ann/")} for row in all_rows(["ann"])]
    assert counts(given(tmp_path, write_rows(folder / "out.csv", rows)).coverage) == {"expected": 6, "found": 6}


def test_a_prompt_that_blanks_alone_tell_from_another_needs_its_case() -> None:
    cases = [Case("a/0", "a", "a cat"), Case("a/1", "a", "a  cat"), Case("a/2", "a", "a dog")]
    targets = Targets([Planned("", case, 0, 0) for case in cases], 1)
    images = [GivenImage(Path("x"), "row 1", "a", prompt="a cat "), GivenImage(Path("x"), "row 2", "a", prompt="a cat")]
    places, strays = targets.assigned(images)
    assert list(places) == [("a", 0, 0)]
    assert strays == ["row 1: 'a cat ' is the prompt of cases 0 and 1 of a: name the case"]


def test_folders_of_methods_and_tables_of_methods_are_told_from_one_method(tmp_path: Path) -> None:
    names = folder_names(USERS)
    lab = tmp_path / "lab"
    for method in ("one", "two"):
        write_drawn(lab / method)
    assert methods_in(lab, names) == {"one": lab / "one", "two": lab / "two"}
    assert methods_in(lab / "one", names) == {"one": lab / "one"}
    for method in ("one", "two"):
        write_rows(lab / f"{method}.csv", all_rows())
    assert methods_in(lab, names) == {"one": lab / "one.csv", "two": lab / "two.csv"}
    shutil.move(lab / "one.csv", lab / "one" / "table.csv")
    (lab / "two.csv").unlink()
    assert methods_in(lab, names) == {"one": lab / "one" / "table.csv", "two": lab / "two"}
    assert methods_in(lab / "one", names) == {"one": lab / "one" / "table.csv"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("outs", "there is no file or folder .*outs; did you mean 'out'"),
        ("out/notes.txt", "is no table of images: .csv, .jsonl, .parquet, or a folder <user>/<case>-<n>.png"),
        ("empty", "holds no images: <user>/<case>-<n>.png, both numbers counted from 0"),
        ("wrong", r"holds no images: no folder in it is a user's \(ann, ben, cy\); did you mean 'ann'"),
        ("both", "has a.jsonl and a.csv: keep one of them|has a.csv and a.jsonl: keep one of them"),
    ],
)
def test_a_path_without_images_is_refused(tmp_path: Path, path: str, said: str) -> None:
    (write_drawn(tmp_path / "out") / "notes.txt").write_text("x")
    write_drawn(tmp_path / "wrong", ["anne", "bert"])
    (tmp_path / "empty").mkdir()
    write_rows(tmp_path / "both" / "a.csv", all_rows())
    (tmp_path / "both" / "a.jsonl").write_text("{}\n")
    with pytest.raises(PrefbenchError, match=said):
        given(tmp_path, tmp_path / path)


def test_a_misspelled_folder_of_a_user_is_named_beside_the_right_ones(tmp_path: Path) -> None:
    folder = write_drawn(tmp_path / "out", ["ann", "bem", "cy"])
    content = given(tmp_path, folder).coverage.as_json()
    assert content["unused"][0] == "bem/0-0.png: there is no user 'bem'; did you mean 'ben'?"
    assert len(content["missing"]) == 6


@pytest.mark.parametrize("name", ["0.png", "0_1.png", "a-1.png", "0-1-2.png", "-1-0.png"])
def test_a_file_with_another_name_is_unused(tmp_path: Path, name: str) -> None:
    folder = write_drawn(tmp_path / "out")
    picture(2).save(folder / "ann" / name)
    unused = given(tmp_path, folder).coverage.unused
    assert list(unused) == [f"ann/{name}: no name of the form <user>/<case>-<n>.png, both numbers counted from 0"]


def test_users_get_folders_that_every_file_system_takes() -> None:
    users = ["ann", "Ann", "a/b", "..", "x.", "con", "a" * 300, "a" * 299 + "b", "zoë", "100%", "a:b", "tab\there"]
    names = folder_names(users)
    assert names["ann"] == "ann"
    assert names["zoë"] == "zoë"
    assert len({name.casefold() for name in names.values()}) == len(users)
    assert all(
        not set(name) & set('/\\:*?"<>|\t') and not name.endswith(".") and len(name) < 110 for name in names.values()
    )


def test_the_number_of_a_case_is_its_place_among_the_users_prompts(tmp_path: Path) -> None:
    coverage = given(tmp_path, write_drawn(tmp_path / "out")).coverage
    assert [one.planned.case.prompt for one in coverage.expected[:6:2]] == list(PROMPTS)
    assert [one.place for one in coverage.expected[:2]] == [("ann", 0, 0), ("ann", 0, 1)]

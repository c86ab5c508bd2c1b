"""Every converter says what it is and asks before it reads; a conversion is whole or not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from prefbench.api import PrefbenchError
from prefbench.registry import entry, load, names
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut, write_folder
from tests.support.hostile import invoke
from tests.support.judged_folders import write_pictures
from tests.support.published import image_bytes

OWN_TABLES = ("choices", "ratings")
PUBLISHED = [name for name in names("converter") if name not in OWN_TABLES]
SAID = {"name": "mine", "licence": "none", "source": "a test"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_card_says_all_that_a_user_must_know(name: str) -> None:
    card = load("converter", name).card
    fields = ("summary", "source", "licence", "terms", "get", "people", "keeps", "drops", "columns")
    assert [field for field in fields if getattr(card, field) in ("", "not known", "named by the user")] == []
    assert not any("\n" in value for value in vars(card).values())


def test_cards_are_listed_and_shown() -> None:
    listed = {row["name"]: row for row in json.loads(invoke("list", "converters", "--json").stdout)}
    assert {name: load("converter", name).card.summary for name in names("converter")} == {
        name: row["summary"] for name, row in listed.items()
    }
    shown = json.loads(invoke("show", "converter", "prefgen", "--json").stdout)
    assert shown["licence"] == "none stated"
    assert {row["name"]: row["default"] for row in shown["parameters"]} == {
        "part": "diffusiondb", "profiles": "names", "users": None,
    }  # fmt: skip
    assert all(row["meaning"] for row in shown["parameters"])


@pytest.mark.parametrize("name", names("converter"))
def test_every_parameter_of_a_converter_is_explained(name: str) -> None:
    shown = json.loads(invoke("show", "converter", name, "--json").stdout)
    assert [row["name"] for row in shown["parameters"] if not row["meaning"]] == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_licence_must_be_accepted(tmp_path: Path, name: str) -> None:
    card = load("converter", name).card
    source = tmp_path / "source"
    source.mkdir() if "folder" in card.takes else source.write_bytes(b"")
    done = invoke("convert", name, str(source), str(tmp_path / "mine"))
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert card.licence in done.stderr
    assert "--accept-licence" in done.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_copy_that_is_not_there_or_of_the_wrong_kind_says_how_to_get_it(tmp_path: Path, name: str) -> None:
    card = load("converter", name).card
    wrong = tmp_path / "wrong"
    if card.takes == "folder":
        wrong.write_bytes(b"")
    else:
        wrong.mkdir()
    for source in [tmp_path / "none", *([] if card.takes == "folder or file" else [wrong])]:
        done = invoke("convert", name, str(source), str(tmp_path / "mine"), "--accept-licence")
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1
        assert " ".join(card.get.split()) in " ".join(done.stderr.split())


def test_the_card_is_printed_with_what_was_written(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", [f"{n}.png" for n in range(8)])
    table = tmp_path / "judged.csv"
    pd.DataFrame({"user": "ann", "picture": [f"{n}.png" for n in range(8)], "rating": range(8)}).to_csv(table)
    done = invoke("convert", "ratings", str(table), str(tmp_path / "mine"))
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [
        "name",
        "source",
        "licence",
        "people",
        "keeps",
        "drops",
        "wrote",
        "prompts",
        "next",
    ]


def test_a_picture_is_in_one_part_alone_whatever_its_file(tmp_path: Path) -> None:
    twins = [image_bytes(1), image_bytes(1, "BMP")]
    judged = [
        JudgedPicture(data, "ann", True, part=part) for data, part in zip(twins, ("method", "scorer"), strict=True)
    ]
    written = write_folder(
        tmp_path / "mine", [*judged, JudgedPicture(image_bytes(2), "ann", True, part="scorer")], SAID
    )
    assert dict(written.left_out) == {"of a picture that the other part has already": 1}
    rows = pd.read_parquet(tmp_path / "mine" / "metadata.parquet")
    assert rows["part"].tolist() == ["method", "scorer"]
    assert rows["digest"].nunique() == written.pictures == 2


def test_a_text_that_a_table_cannot_hold_costs_its_row_alone(tmp_path: Path) -> None:
    odd = ["\ud800", "a\0b", "x" * 1001]
    judged = [JudgedPicture(image_bytes(n), user, True) for n, user in enumerate([*odd, "ünal", "ben"])]
    written = write_folder(tmp_path / "mine", judged, SAID)
    assert dict(written.left_out) == {"with a text that is too long or no text": 3}
    assert written.examples["with a text that is too long or no text"] == r"user '\ud800'"
    assert pd.read_parquet(tmp_path / "mine" / "metadata.parquet")["user"].tolist() == ["ünal", "ben"]


def test_what_a_converter_leaves_out_is_counted_with_an_example(tmp_path: Path) -> None:
    judged: list[Judged] = [
        LeftOut("a tie", "row 1"),
        LeftOut("a tie", "row 2"),
        JudgedPicture(image_bytes(2), "ann", True),
    ]
    written = write_folder(tmp_path / "mine", judged, SAID)
    assert (dict(written.left_out), written.examples) == ({"a tie": 2}, {"a tie": "row 1"})
    with pytest.raises(PrefbenchError, match="no judgment could be read; a tie: 1, such as row 1"):
        write_folder(tmp_path / "none", judged[:1], SAID)
    assert not (tmp_path / "none" / "metadata.parquet").exists()


def test_a_killed_conversion_goes_on_with_the_pictures_that_are_there(tmp_path: Path) -> None:
    judged = [JudgedPicture(image_bytes(n), "ann", True) for n in range(3)]

    def killed():  # type: ignore[no-untyped-def]
        yield from judged[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "mine", killed(), SAID)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*.png")}
    (tmp_path / "mine" / ".prefbench-0123456789abcdef.tmp").write_bytes(b"half a table")
    assert len(before) == 2
    assert write_folder(tmp_path / "mine", judged, SAID).pictures == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list((tmp_path / "mine").glob(".prefbench-*"))


def test_an_unknown_suite_may_have_been_meant_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="the path of a folder is a suite too, and there is no such folder"):
        entry("suite", "mime")
    (tmp_path / "metadata.csv").write_text("")
    with pytest.raises(PrefbenchError, match=r"metadata.csv is a file, and a suite the path of a folder, such as "):
        entry("suite", str(tmp_path / "metadata.csv"))
    with pytest.raises(PrefbenchError) as raised:
        entry("method", "mime")
    assert "folder" not in str(raised.value)


def test_a_converter_of_another_package_needs_no_more_than_a_card_and_a_function(tmp_path: Path) -> None:
    def read(source: Path, *, user: str = "ann"):  # type: ignore[no-untyped-def]
        yield JudgedPicture(source.read_bytes(), user, True)

    (tmp_path / "a.png").write_bytes(image_bytes(1))
    mine = replace(load("converter", "ratings"), read=read)
    assert mine.convert(tmp_path / "a.png", tmp_path / "out", ["user=ben"]).judgments == 1

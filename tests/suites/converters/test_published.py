"""Each data set's small copy: what must arrive does, and what says nothing is counted by its reason."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from prefbench.api import PrefbenchError
from prefbench.registry import load, names
from prefbench.run.prepare import load_suite
from prefbench.suites.folder.writer import Written
from tests.support.published import image_bytes, write_json
from tests.support.published_sets import (
    COPIES,
    SIMULACRA_TABLES,
    learn_user_pref_frame,
    pickapic_rows,
    write_flickr_aes,
    write_hpdv2,
    write_lapis,
    write_learn_user_pref,
    write_pamela,
    write_pickapic,
    write_pipbench,
    write_preferimg,
    write_simulacra,
)

UNREADABLE = "a picture that cannot be read"
Copy = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))


def convert(name: str, source: Path, out: Path, *parameters: str) -> tuple[Written, pd.DataFrame]:
    written = load("converter", name).convert(source, out, parameters, licence_accepted=True)
    return written, pd.read_parquet(out / "metadata.parquet")


def failing(name: str, source: Path, out: Path, *parameters: str) -> str:
    """The line that a conversion fails with."""
    with pytest.raises(PrefbenchError) as raised:
        convert(name, source, out, *parameters)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_every_converter_of_a_published_data_set_has_a_copy() -> None:
    assert {*COPIES} == {*names("converter")} - {"choices", "ratings"}


@pytest.mark.parametrize("name", COPIES)
def test_what_is_written_is_a_suite(tmp_path: Path, name: str) -> None:
    _, rows = convert(name, COPIES[name](tmp_path / "source"), tmp_path / "mine")
    suite, _ = load_suite(str(tmp_path / "mine"))
    users = [user.id for split in ("train", "scorer", "val", "test") for user in suite.users(split)]
    assert {*users} <= {*rows["user"]}
    assert len(users) >= 2
    histories = [(suite.history(user, "method"), suite.history(user, "scorer")) for user in users]
    assert all(mine.liked and theirs.liked for mine, theirs in histories)
    assert (tmp_path / "mine" / "suite.toml").read_text().count(load("converter", name).card.licence) == 1


def test_pamela_can_have_new_people_and_their_pictures_in_splits_of_their_own(tmp_path: Path) -> None:
    source = write_pamela(tmp_path / "source")
    written, rows = convert("pamela", source, tmp_path / "mine")
    assert (len(rows), written.pictures, {*rows["split"]}) == (24, 8, {"test"})
    assert dict(written.left_out) == {"without a participant or a score": 1, UNREADABLE: 1}
    assert sorted(rows["rating"].unique()) == [1, 2, 3, 4, 5]
    unseen = [source / "annotations" / f"pamela_{split}_unseen.json" for split in ("val", "test")]
    for path, kept in zip(unseen, (slice(0, 4), slice(2, 6)), strict=True):
        write_json(path, json.loads(path.read_text())[kept])
    written, rows = convert("pamela", source, tmp_path / "official", "splits=official")
    assert rows.groupby("user")["split"].unique().explode().to_dict() == {"1": "train", "2": "val", "3": "test"}
    assert rows.groupby("user").size().to_dict() == {"1": 2, "2": 2, "3": 4}
    assert written.left_out["of a picture that people of another split rated"] == 8
    assert rows.groupby("digest")["split"].nunique().max() == 1
    (source / "annotations" / "pamela_train.json").write_text('[{"participant": 1}]')
    assert (
        "pamela_train.json row 1 has no column participant_id, image_path, original_score; its columns are"
        in failing("pamela", source, tmp_path / "none")
    )


def test_pipbench_keeps_likes_and_the_prompts_of_targets(tmp_path: Path) -> None:
    source = write_pipbench(tmp_path / "source")
    written, rows = convert("pipbench", source, tmp_path / "mine")
    assert dict(written.left_out) == {"of a target that another case has already": 1}
    assert rows["liked"].all()
    assert rows.groupby("user").size().to_dict() == {"real-0": 8, "synthetic-1": 8, "synthetic-2": 8}
    assert sorted(rows["prompt"][rows["user"] == "real-0"]) == ["", "", "", *(f"prompt 0 {n}" for n in range(5))]
    _, people = convert("pipbench", source, tmp_path / "people", "category=real")
    assert {*people["user"]} == {"real-0"}


def test_preferimg_reads_the_answer_wherever_it_stands(tmp_path: Path) -> None:
    written, rows = convert("preferimg", write_preferimg(tmp_path / "source"), tmp_path / "mine")
    assert dict(written.left_out) == {"of a pair without an answer": 2}
    pairs = rows[rows["pair"] != ""]
    digests = [load_digest(tmp_path / "source" / "data" / "PICKAPIC" / "images" / f"{n}.png") for n in (11, 22, 34)]
    assert pairs["digest"][pairs["liked"]].tolist() == digests
    assert {*pairs["part"]} == {"scorer"}
    history = rows[rows["part"] == "method"]
    assert history.groupby(["user", "liked"]).size().unstack().loc["case 1"].to_dict() == {True: 5, False: 5}
    assert "holds none of data/MP_ID/MP_ID.json, MP_ID/MP_ID.json" in failing(
        "preferimg", tmp_path / "source", tmp_path / "none", "test=MP_ID"
    )


def load_digest(path: Path) -> str:
    from prefbench.api import image_digest
    from prefbench.api.pictures import read_picture

    return image_digest(read_picture(path))


@pytest.mark.parametrize("name", ["pickapic-v1", "pickapic-v2"])
def test_pickapic_drops_what_is_no_choice(tmp_path: Path, name: str) -> None:
    written, rows = convert(name, write_pickapic(tmp_path / "source"), tmp_path / "mine")
    assert dict(written.left_out) == {
        "of a tie": 2,
        "of a choice that was not made (has_label is false)": 2,
        "of a choice between equal pictures": 4,
        "of a choice whose labels are not 0 and 1": 2,
        "with a web address in place of a picture; nothing is downloaded": 2,
        UNREADABLE: 1,
    }
    assert len(rows) == 2 * 24 + 1
    whole = rows[rows.groupby("pair")["liked"].transform("size") == 2]
    assert (whole.groupby("pair")["liked"].sum() == 1).all()
    first = rows[(rows["prompt"] == "prompt 0 0") & ~rows["liked"]].iloc[0]
    assert (first["user"], first["time"]) == ("0", "2023-01-01T00:00:00")
    assert (tmp_path / "mine" / first["file_name"]).read_bytes() == image_bytes(0, "JPEG")


def test_pickapic_takes_pictures_beside_the_table_by_their_uid(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    frame = pd.DataFrame(pickapic_rows()[:16]).drop(columns=["jpg_0", "jpg_1"])
    frame.to_parquet(source / "train-00000-of-00001.parquet")
    for n, uid in enumerate([*frame["image_0_uid"], *frame["image_1_uid"]]):
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / f"{uid}.jpg").write_bytes(image_bytes(n, "JPEG"))
    written, rows = convert("pickapic-v2", source, tmp_path / "mine", f"pictures={tmp_path / 'files'}")
    assert (len(rows), dict(written.left_out)) == (32, {})
    (tmp_path / "files" / "u0-0-1.jpg").unlink()
    written, _ = convert("pickapic-v2", source, tmp_path / "less", f"pictures={tmp_path / 'files'}")
    assert dict(written.left_out) == {"with a web address in place of a picture; nothing is downloaded": 2}
    assert "has no Parquet files of test, such as test-00000" in failing(
        "pickapic-v2", source, tmp_path / "none", "split=test"
    )
    frame.drop(columns="user_id").to_parquet(source / "train-00000-of-00001.parquet")
    assert "has no column user_id; its columns are are_different, best_image_uid" in failing(
        "pickapic-v2", source, tmp_path / "none"
    )


def test_learn_user_pref_has_a_history_once_and_a_held_out_pair(tmp_path: Path) -> None:
    source = write_learn_user_pref(tmp_path / "source")
    written, rows = convert("learn-user-pref", source, tmp_path / "mine")
    assert dict(written.left_out) == {"of a tie": 2, "of a picture that the other part has already": 1}
    own = rows[rows["user"] == "1"]
    assert own.groupby("part").size().to_dict() == {"method": 16, "scorer": 4}
    held = own[(own["part"] == "scorer") & own["liked"]]
    bytes_of = [(tmp_path / "mine" / name).read_bytes() for name in held["file_name"]]
    assert bytes_of == [image_bytes(301, "JPEG"), image_bytes(302, "JPEG")]
    assert sorted(own["prompt"][own["part"] == "method"].unique()) == [f"prompt 1 {n}" for n in range(8)]
    learn_user_pref_frame().to_parquet(tmp_path / "same.parquet")
    _, other = convert("learn-user-pref", tmp_path / "same.parquet", tmp_path / "parquet")
    pd.testing.assert_frame_equal(rows, other)


@pytest.mark.parametrize("votes", ["raw_annotations", "raw_annotation"])
def test_hpdv2_has_a_pair_for_every_two_pictures_ranked_apart(tmp_path: Path, votes: str) -> None:
    written, rows = convert("hpdv2", write_hpdv2(tmp_path / "source", votes), tmp_path / "mine")
    assert dict(written.left_out) == {"of a tie": 12}
    assert rows.groupby("user").size().to_dict() == {"hash0": 72, "hash1": 60, "hash2": 72}
    best = rows[rows["liked"]].groupby(["user", "digest"]).size().unstack(fill_value=0).max(axis=1)
    assert best.tolist() == [3, 3, 3]
    first = rows[(rows["user"] == "hash2") & (rows["pair"] == "1/0-1") & rows["liked"]].iloc[0]
    assert (tmp_path / "mine" / first["file_name"]).read_bytes() == image_bytes(1, "JPEG")


def test_hpdv2_votes_that_do_not_go_with_the_mean_rank_are_laid_out_otherwise(tmp_path: Path) -> None:
    source = write_hpdv2(tmp_path / "source")
    rows = json.loads((source / "test.json").read_text())
    for row in rows:
        row["rank"] = [4, 3, 2, 1]
    write_json(source / "test.json", rows)
    assert "annotators' ranks do not go with the mean rank" in failing("hpdv2", source, tmp_path / "none")
    rows[0]["raw_annotations"][0]["rank"] = [1]
    write_json(source / "test.json", rows)
    assert "a list of votes, each with user_hash and the rank of 4 pictures" in failing(
        "hpdv2", source, tmp_path / "no"
    )
    write_json(source / "test.json", [{name: rows[0][name] for name in ("prompt", "image_path", "rank")}])
    assert "row 1 has no column raw_annotations; its columns are" in failing("hpdv2", source, tmp_path / "no")


def test_lapis_finds_works_by_their_last_name(tmp_path: Path) -> None:
    source = write_lapis(tmp_path / "source")
    written, rows = convert("lapis", source, tmp_path / "mine")
    assert dict(written.left_out) == {"without a participant or a response": 1, UNREADABLE: 3}
    assert (len(rows), written.pictures, rows["rating"].max()) == (20, 7, 85)
    table = source / "annotation" / "LAPIS_individualratings_metaANDdemodata.csv"
    table.rename(table.with_suffix(".xlsx"))
    assert "is not read: save it as CSV beside it" in failing("lapis", source, tmp_path / "none")
    table.with_suffix(".xlsx").unlink()
    assert "has no table of individual ratings" in failing("lapis", source, tmp_path / "none")


def test_flickr_aes_is_read_with_its_spaces(tmp_path: Path) -> None:
    written, rows = convert("flickr-aes", write_flickr_aes(tmp_path / "source"), tmp_path / "mine")
    assert dict(written.left_out) == {"without a worker or a score": 1}
    assert {*rows["user"]} == {"A0", "A1", "A2"}
    assert rows["rating"].tolist()[:8] == [1, 2, 3, 4, 5, 1, 2, 3]


def test_simulacra_leaves_out_corrupted_surveys(tmp_path: Path) -> None:
    written, rows = convert("simulacra", write_simulacra(tmp_path / "source"), tmp_path / "mine")
    assert dict(written.left_out) == {
        "of a survey with more than 20 answers, which its owner calls corrupted": 8,
        "without a user or a rating": 2,
        "of a picture without a path": 1,
    }
    assert rows.groupby("user").size().to_dict() == {"0": 8, "1": 8, "2": 8}
    assert rows["source"].unique().tolist() == ["method 3"]
    assert rows["prompt"].nunique() == 8


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "DROP TABLE paths; CREATE VIEW paths AS SELECT id AS iid, prompt AS path FROM generations",
            "has no table paths",
        ),
        ("ALTER TABLE ratings RENAME COLUMN sid TO uid", "table ratings has no column sid; its columns are uid, iid"),
        ("DROP TABLE survey", "has no table survey; its tables are generations"),
    ],
)
def test_a_database_of_another_layout_is_one_line(tmp_path: Path, script: str, message: str) -> None:
    with sqlite3.connect(tmp_path / "a.sqlite") as made:
        made.executescript(SIMULACRA_TABLES + script)
    made.close()
    assert message in failing("simulacra", tmp_path, tmp_path / "none")


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    assert "has 0 files *.sqlite" in failing("simulacra", tmp_path, tmp_path / "none")
    (tmp_path / "a.sqlite").write_bytes(b"no database" * 100)
    assert "a.sqlite cannot be read: file is not a database" in failing("simulacra", tmp_path, tmp_path / "none")
    (tmp_path / "b.sqlite").write_bytes(b"")
    assert "has 2 files *.sqlite" in failing("simulacra", tmp_path, tmp_path / "none")

"""PrefGen's data: both files and both layouts of the tar give the same users, and splits share nothing."""

from __future__ import annotations

import json
import pickle
import tarfile
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from prefbench.api import PrefbenchError
from prefbench.suites.converters.disjoint import disjoint_splits
from prefbench.suites.converters.prefgen import PREFGEN, read_prefgen
from prefbench.suites.folder.writer import JudgedPicture, LeftOut
from tests.support.published import cut, prefgen_members, prefgen_records, write_json, write_prefgen, write_tar


def converted(source: Path, out: Path, *parameters: str) -> pd.DataFrame:
    PREFGEN.convert(source, out, parameters, licence_accepted=True)
    return pd.read_parquet(out / "metadata.parquet")


def test_each_pair_and_target_of_a_user_arrives_once(tmp_path: Path) -> None:
    source = write_prefgen(tmp_path / "source")
    rows = converted(source, tmp_path / "mine", "profiles=images")
    first = rows[rows["user"] == "0"]
    assert len(first) == 2 * 2 + 2
    assert first["liked"].sum() == 4
    assert sorted(first["prompt"][first["pair"] == ""]) == ["target 900", "target 950"]
    pairs = first[first["pair"] != ""].groupby("pair")
    assert (pairs["liked"].sum() == 1).all()
    assert (pairs["prompt"].nunique() == 1).all()
    assert "style" not in rows.to_csv()


def test_no_picture_and_no_profile_is_in_two_splits(tmp_path: Path) -> None:
    source = write_prefgen(tmp_path / "source", users=60)
    splits: dict[str, set[str]] = defaultdict(set)
    kept: dict[str, str] = {}
    for one in read_prefgen(source):
        if isinstance(one, JudgedPicture) and not isinstance(one.picture, (Path, bytes)):
            name = one.picture.key.rpartition("/")[2]
            splits[name].add(one.split)
            splits[name.partition("_")[2]].add(one.split)
            kept[one.user] = one.split
    assert {len(own) for own in splits.values()} == {1}
    assert set(kept.values()) == {"train", "scorer", "val", "test"}
    assert len(kept) >= 50


def test_a_chain_of_users_is_cut_where_few_stand() -> None:
    splits = disjoint_splits({f"{n}": {f"p{n}", f"p{n + 1}"} for n in range(200)})
    assert len(splits) >= 190
    sizes = pd.Series(splits).value_counts(normalize=True)
    assert sizes["train"] == pytest.approx(0.6, abs=0.05)
    assert sizes["test"] == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("layout", ["tar", "bare tar", "unpacked", "unpacked twice", "pickle"])
def test_every_layout_gives_the_same_judgments(tmp_path: Path, layout: str) -> None:
    expected = converted(write_prefgen(tmp_path / "source"), tmp_path / "expected")
    source, records = tmp_path / "copy", prefgen_records()
    members = prefgen_members(records)
    write_json(source / "json" / "diffusiondb.json", records)
    if layout == "tar":
        write_tar(source / "diffusiondb.tar", members)
    elif layout == "bare tar":
        write_tar(source / "diffusiondb.tar", {f"./{name.partition('/')[2]}": data for name, data in members.items()})
        cut(source / "diffusiondb.tar", 2)
    else:
        home = source / "diffusiondb" if layout == "unpacked twice" else source
        for name, data in members.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(data)
    if layout == "pickle":
        (source / "pkl").mkdir()
        shipped = tmp_path / "source" / "pkl" / "diffusiondb.pkl"
        (source / "pkl" / "diffusiondb.pkl").write_bytes(shipped.read_bytes())
        (source / "json" / "diffusiondb.json").unlink()
        expected = expected[expected["pair"] != ""]
    rows = converted(source, tmp_path / "mine")
    same = ["user", "digest", "liked", "pair", "prompt"]
    kept = set(rows["user"]) & set(expected["user"])
    assert len(kept) >= 6
    mine, other = (table[table["user"].isin(kept)][same].reset_index(drop=True) for table in (rows, expected))
    pd.testing.assert_frame_equal(mine, other)


def test_attributes_and_pictures_can_stand_for_profiles(tmp_path: Path) -> None:
    source = write_prefgen(tmp_path / "source")
    by_attributes = converted(source, tmp_path / "attributes", "profiles=attributes")
    by_pictures = converted(source, tmp_path / "images", "profiles=images")
    assert by_attributes["user"].nunique() <= by_pictures["user"].nunique()
    assert converted(source, tmp_path / "few", "users=5", "profiles=images")["user"].nunique() <= 5


def test_names_that_hold_no_profile_are_told(tmp_path: Path) -> None:
    source = write_prefgen(tmp_path / "source")
    records = json.loads((source / "json" / "diffusiondb.json").read_text())
    for row in records:
        row["positive_img"] = [f"{n}_{n}{row['id']}.png" for n in range(len(row["positive_img"]))]
    write_json(source / "json" / "diffusiondb.json", records)
    with pytest.raises(PrefbenchError, match=r"agree on a profile for 0 of 12 users alone; -p profiles=attributes"):
        list(read_prefgen(source))


def test_a_copy_without_all_parts_of_the_tar_is_told(tmp_path: Path) -> None:
    source = write_prefgen(tmp_path / "source")
    (source / "diffusiondb.tar.part-00001").unlink()
    with pytest.raises(PrefbenchError, match="part-00002 is there, and the part of number 1 is not"):
        converted(source, tmp_path / "mine")
    (source / "diffusiondb.tar.part-00002").unlink()
    with pytest.raises(PrefbenchError, match="is no archive that can be read: unexpected end of data"):
        converted(source, tmp_path / "mine")
    assert not (tmp_path / "mine" / "metadata.parquet").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, "row 1: id is the id of a user"),
        (
            {"positive_img": ["a_0.png"]},
            "row 1: positive_img, negative_img and prompt_list are of one length, got 1, 2",
        ),
        ({"negative_img": "x"}, "row 1: positive_img, negative_img and prompt_list are of one length, got 2, 1"),
        ({"prompt_list": [1, 2, 3, 4]}, "row 1: prompt_list is a list of texts"),
    ],
)
def test_a_wrong_record_is_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    records = prefgen_records(users=4)
    records[0] |= changes
    write_json(tmp_path / "json" / "diffusiondb.json", records)
    with pytest.raises(PrefbenchError, match=message):
        list(read_prefgen(tmp_path))


def test_the_pickle_is_of_plain_tuples(tmp_path: Path) -> None:
    (tmp_path / "pkl").mkdir()
    (tmp_path / "pkl" / "coco.pkl").write_bytes(pickle.dumps({"0": [("a_1.png", "a_2.png"), ["x", "y"]]}))
    with pytest.raises(PrefbenchError, match="row 1: pairs is tuples of disliked picture, liked picture and prompt"):
        list(read_prefgen(tmp_path, part="coco"))
    with pytest.raises(
        PrefbenchError, match=r"holds neither json/diffusiondb.json nor pkl/diffusiondb.pkl; hf download"
    ):
        list(read_prefgen(tmp_path))


def test_pictures_that_are_links_are_left_out(tmp_path: Path) -> None:
    records = prefgen_records()
    write_json(tmp_path / "json" / "diffusiondb.json", records)
    write_tar(tmp_path / "diffusiondb.tar", prefgen_members(records))
    with tarfile.open(tmp_path / "diffusiondb.tar", "a") as tar:
        link = tarfile.TarInfo(records[0]["image_file"])
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    written = PREFGEN.convert(tmp_path, tmp_path / "mine", ["profiles=images"], licence_accepted=True)
    assert written.left_out["a picture that cannot be read"] == 1
    assert "it is a link or a device" in written.examples["a picture that cannot be read"]


def test_users_between_two_splits_are_counted(tmp_path: Path) -> None:
    lost = [one for one in read_prefgen(write_prefgen(tmp_path / "source")) if isinstance(one, LeftOut)]
    assert lost
    assert {one.why for one in lost} == {"of a user whose pictures or profiles two splits would share"}
    assert len(lost) % 6 == 0

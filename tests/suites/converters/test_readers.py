"""Tables are read row by row and every mistake is a line; pictures come from where they lie and from nowhere else."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from prefbench.api import PrefbenchError, UnreadableImageError
from prefbench.suites.converters.readers import pictures
from prefbench.suites.converters.readers.pictures import Pictures, Unreadable
from prefbench.suites.converters.readers.rows import read_rows
from prefbench.suites.folder.writer import LeftOut
from tests.support.published import image_bytes, write_tar

ROWS = [{"user": 7, "picture": "a.png", "score": 1.5}, {"user": 8, "picture": "b,\nc.png", "score": None}]


def write(folder: Path, suffix: str) -> Path:
    path = folder / f"table{suffix}"
    frame = pd.DataFrame(ROWS)
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        lines = [json.dumps(row) for row in ROWS]
        path.write_text("\n".join(lines) if suffix == ".jsonl" else f"\ufeff[\n{' ,'.join(lines)}]\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_every_kind_of_table_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    rows = list(read_rows(write(tmp_path, suffix), ["user", "picture"], ["score", "none"]))
    assert [(row.text("user"), row.text("picture"), row.float("score")) for row in rows] == [
        ("7", "a.png", 1.5),
        ("8", "b,\nc.png", None),
    ]
    with pytest.raises(PrefbenchError, match=r"has no column rating; its columns are .*user.*picture.*score"):
        list(read_rows(write(tmp_path, suffix), ["rating"]))


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".csv", b"user,picture\n1\n", "row 1: 1 values for 2 columns"),
        (".csv", b'user,picture\n1,"a\n', "is no CSV: unexpected end of data"),
        (".csv", b"user,picture\n\xff,a\n", "is not UTF-8 text"),
        (".csv", b"", "its columns are none"),
        (".json", b'[{"user": 1, "picture": "a"}, {"user": 1', "is no JSON after row 1"),
        (".json", b'[{"user": 1, "picture": "a"}, 7]', "row 2: not an object of names and values"),
        (".json", b'{"user": 1}', "row 1 has no column picture; its columns are user"),
        (".json", b'[{"user": 1, "picture": "a"},', "is no JSON after row 1"),
        (".json", b"[" * 100_000, "row 1 is nested too deep"),
        (".json", b"text", "is no JSON after row 0"),
        (".json", b'[{"user": ' + b"[" * 100_000, "row 1 is nested too deep"),
        (".json", b"\xff", "is not UTF-8 text"),
        (".parquet", b"PAR1 no parquet PAR1", "cannot be read"),
        (".xlsx", b"", "ends with none of .csv, .json, .jsonl, .parquet"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, suffix: str, content: bytes, message: str) -> None:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    with pytest.raises(PrefbenchError, match=message) as raised:
        list(read_rows(path, ["user", "picture"]))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_json_is_not_held_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps([{"user": n, "text": "x" * 2000} for n in range(5_000)]))
    tracemalloc.start()
    assert sum(row.values["user"] for row in read_rows(path, ["user"])) == 5_000 * 4_999 // 2
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def read(copy: Pictures, name: str) -> bytes:
    found = copy.find(name)
    return found.read_bytes() if isinstance(found, Path) else found.read()


def test_a_picture_is_found_beside_the_table_and_in_archives(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"a")
    write_tar(tmp_path / "one.tar", {"images/b.png": b"b", "./deep/c.png": b"c"})
    with zipfile.ZipFile(tmp_path / "two.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/d.png", b"d" * 1000)
    copy = Pictures(tmp_path, below=("", "images"), by_name=True)
    expected = {"a.png": b"a", "./images/a.png": b"a", "b.png": b"b", "images\\d.png": b"d" * 1000, "x/c.png": b"c"}
    assert {name: read(copy, name) for name in expected} == expected
    assert read(Pictures(tmp_path / "two.zip"), "images/d.png") == b"d" * 1000


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "images/../../secret.png", "C:/x.png", "~/x.png", "a\0.png", "..\\x", ""]
)
def test_a_name_that_leads_out_is_no_picture(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.png").write_bytes(image_bytes(1))
    (tmp_path / "copy").mkdir()
    found = Pictures(tmp_path / "copy", by_name=True).find(name)
    assert isinstance(found, Unreadable)
    with pytest.raises(UnreadableImageError, match=r"its name leads out of the folder|its name is empty"):
        found.read()


def test_links_devices_and_members_that_lead_out_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(image_bytes(1))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(copy / "pipe.png")
    with tarfile.open(copy / "a.tar", "w") as tar:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("dev.png", tarfile.CHRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "../secret.png"
            tar.addfile(entry)
        entry = tarfile.TarInfo("../up.png")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    with zipfile.ZipFile(copy / "b.zip", "w") as archive:
        info = zipfile.ZipInfo("ziplink.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "../secret.png")
    found = Pictures(copy)
    for name in ("link.png", "pipe.png", "soft.png", "hard.png", "dev.png", "../up.png", "ziplink.png", "none.png"):
        with pytest.raises(UnreadableImageError, match=r"leads out|a link or a device|there is no such file"):
            read(found, name)


def test_members_are_bounded_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", b"\0" * 10**6)
        archive.writestr("torn.png", os.urandom(1000))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"torn.png") + 100] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    monkeypatch.setattr(pictures, "MAX_BYTES", 10**5)
    with pytest.raises(UnreadableImageError, match="it has 1,000,000 bytes; at most 100,000 are read"):
        read(Pictures(tmp_path), "bomb.png")
    with pytest.raises(UnreadableImageError, match=r"torn\.png: "):
        read(Pictures(tmp_path), "torn.png")
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(PrefbenchError, match=r"a\.zip is no archive that can be read"):
        read(Pictures(tmp_path), "torn.png")


def test_a_cell_holds_bytes_a_struct_or_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    copy = Pictures(tmp_path)
    assert copy.pick(b"x") == copy.pick({"bytes": b"x", "path": "a.png"}) == b"x"
    assert copy.pick("a.png") == copy.pick({"bytes": None, "path": "a.png"}) == tmp_path / "a.png"
    for value in (None, "", {"bytes": None, "path": None}, 7):
        assert isinstance(copy.pick(value), LeftOut)
    address = copy.pick("https://example.org/a.png")
    assert isinstance(address, LeftOut)
    assert address.why == "with a web address in place of a picture; nothing is downloaded"

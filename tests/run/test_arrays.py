"""Arrays from outside: hostile and damaged `.npz` are one line within bounds; a cache of them is made again."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from prefbench.api import Pixels
from prefbench.models.extractors.style_statistics import StyleStatistics
from prefbench.run.arrays import packed, unpacked
from prefbench.score.cache import FeatureCache

ARRAYS = {"a": np.arange(12.0).reshape(3, 4), "names": np.array(["x", "yy"]), "empty": np.zeros((0, 5), np.float32)}


def archive(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return stream.getvalue()


def header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def flagged(data: bytes) -> bytes:
    """The same with the flag of encryption, in both headers of its first member."""
    changed = bytearray(data)
    changed[6] |= 1
    changed[changed.find(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def compressed_by(data: bytes, method: int) -> bytes:
    """The same with another number for the compression, in both headers of its first member."""
    changed = bytearray(data)
    changed[8] = changed[changed.find(b"PK\x01\x02") + 10] = method
    return bytes(changed)


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([object()], dtype=object), allow_pickle=True)
    return stream.getvalue()


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "text": lambda _: b"no archive",
    "encrypted": flagged,
    "compressed": lambda _: archive({"a": header("(1000000,)") + bytes(8_000_000)}, zipfile.ZIP_DEFLATED),
    "another compression": lambda data: compressed_by(data, 99),
    "a flipped byte": lambda data: data[:200] + bytes([data[200] ^ 4]) + data[201:],
    "80 TB": lambda _: archive({"a": header("(10000000000000,)") + bytes(16)}),
    "a shape below zero": lambda _: archive({"a": header("(-1,)") + bytes(8)}),
    "a shape of huge factors": lambda _: archive({"a": header(f"({2**62}, {2**62}, 0)")}),
    "a header of nothing": lambda _: archive({"a": b"\x93NUMPY\x01\x00\xff\xff"}),
    "a header nested deeply": lambda _: archive({"a": header("(" * 5000 + ")" * 5000)}),
    "a pickle": lambda _: archive({"a": pickled()}),
    "no array": lambda _: archive({"a": b"hello"}),
    "many members": lambda _: archive({f"m{i}": b"" for i in range(10_001)}),
}


def test_arrays_come_back(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(packed(ARRAYS))
    stored = unpacked(tmp_path / "a.npz")
    assert stored.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert stored[name].dtype == array.dtype
        assert np.array_equal(stored[name], array)


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_and_damaged_arrays_are_one_line(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(HOSTILE[what](packed(ARRAYS)))
    with pytest.raises(ValueError, match=r"\w+: ") as caught:
        unpacked(path)
    assert "\n" not in str(caught.value)


def pixels(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("what", [*HOSTILE, "another extractor", "one number", "float32", "NaN", "rows swapped"])
def test_features_that_cannot_be_used_are_made_again(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extractor = StyleStatistics()
    digests = ["a", "b", "c"]
    expected = FeatureCache(tmp_path, extractor).get(digests, lambda names: [pixels(ord(name)) for name in names])
    (path,) = tmp_path.rglob("*.npz")
    stored = dict(unpacked(path))
    edits: dict[str, dict[str, np.ndarray]] = {
        "another extractor": {"extractor": np.array("else")},
        "one number": {"features": stored["features"] + np.eye(*stored["features"].shape)},
        "float32": {"features": stored["features"].astype(np.float32)},
        "NaN": {"features": stored["features"] * np.nan},
        "rows swapped": {"digests": stored["digests"][::-1]},
    }
    path.write_bytes(packed(stored | edits[what]) if what in edits else HOSTILE[what](path.read_bytes()))
    asked: list[str] = []

    def load(names: list[str]) -> list[Pixels]:
        asked.extend(names)
        return [pixels(ord(name)) for name in names]

    again = FeatureCache(tmp_path, extractor).get(digests, load)  # type: ignore[arg-type]
    assert np.array_equal(again, expected)
    assert asked == digests
    assert "is unusable" in caplog.text
    asked.clear()
    FeatureCache(tmp_path, extractor).get(digests, load)  # type: ignore[arg-type]
    assert asked == []

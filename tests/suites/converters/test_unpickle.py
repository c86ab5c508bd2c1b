"""Pickles from outside: plain values arrive, nothing is run or imported, and what could swell is bounded."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prefbench.api import PrefbenchError
from prefbench.suites.converters.readers import unpickle
from prefbench.suites.converters.readers.frames import ALLOWED, read_frame
from prefbench.suites.converters.readers.unpickle import read_pickle

PLAIN: dict[str, list[Any]] = {
    "a": [1, -2, 2**70, 0.5, None, True, "text", b"bytes", ("x", ("y",)), {"b": []}],
    "ü": list(range(3000)),
}


class Deed:
    """An object whose pickle calls a function when it is loaded."""

    def __init__(self, called: Callable[..., Any], *arguments: Any) -> None:
        self.deed = called, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.deed


def write(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_arrive(tmp_path: Path, protocol: int) -> None:
    content = PLAIN if protocol > 2 else {**PLAIN, "a": [one for one in PLAIN["a"] if not isinstance(one, bytes)]}
    assert read_pickle(write(tmp_path / "a.pkl", content, protocol)) == content


def test_nothing_is_run(tmp_path: Path) -> None:
    """Neither by names, nor through names that are allowed."""
    proof = tmp_path / "proof"
    deeds = [Deed(os.system, f"touch {proof}"), Deed(open, str(proof), "w"), Deed(eval, "1"), Deed(partial, os.system)]
    for n, deed in enumerate(deeds):
        for allowed in ((), ALLOWED):
            with pytest.raises(PrefbenchError, match="only plain values are read, and nothing is run"):
                read_pickle(write(tmp_path / f"{n}.pkl", {"0": [deed]}), allowed)
    assert not proof.exists()


def test_an_allowed_name_is_a_stand_in_and_imports_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pkl", b"\x80\x04cno_such_module\nno_such_name\n(K\x01tR}b.")
    made = read_pickle(path, {"no_such_module.no_such_name"})
    assert (made.name, made.arguments, made.state) == ("no_such_module.no_such_name", (1,), {})


NESTED = b"\x80\x04" + b"]" * 100 + b"a" * 99 + b"."
DEEP_TUPLE = b"\x80\x04)" + b"\x85" * 200_000 + b"."
MILLION_LAUGHS = b"\x80\x04]" + b"\x94" + b"".join(b"](h%ch%ce\x94" % (n, n) for n in range(60)) + b"."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short or hostile"),
        (b"no pickle at all", "is none of plain values"),
        (pickle.dumps(PLAIN)[:-40], "cut short or hostile|is no pickle"),
        (b"\x80\x04B\xff\xff\xff\x7f.", "it asks for 2,147,483,647 bytes of the last 1"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", "bytes of the last 1"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b".", "bytes of the last 1"),
        (NESTED, "has containers in each other over 50 deep"),
        (DEEP_TUPLE, "has containers in each other over 50 deep"),
        (MILLION_LAUGHS, "has containers in each other over 50 deep"),
        (b"\x80\x04}" + DEEP_TUPLE[2:-1] + b"K\x01s.", "has tuple for the key of a dictionary"),
        (b"\x80\x04X\x01\x00\x00\x00x)R.", "calls str, which is no name"),
        (b"\x80\x04]}b.", "calls list, which is no name"),
        (b"\x80\x04P1\n.", "opcode 80 is none of plain values"),
        (b"\x80\x04\x8f(K\x01\x90.", "opcode 143 is none of plain values"),
        (b"\x80\x04r\xff\xff\xff\xff.", "is no pickle"),
    ],
)
def test_a_hostile_pickle_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(PrefbenchError, match=message) as raised:
        read_pickle(write(tmp_path / "a.pkl", content))
    assert "a.pkl" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bytes_and_opcodes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.pkl", PLAIN)
    with pytest.raises(PrefbenchError, match="bytes; at most 100 are read"):
        read_pickle(path, limit=100)
    monkeypatch.setattr(unpickle, "OPCODES", 1000)
    with pytest.raises(PrefbenchError, match="has over 1,000 opcodes"):
        read_pickle(path)
    with pytest.raises(PrefbenchError, match="there is no "):
        read_pickle(tmp_path / "none.pkl")


FRAME = pd.DataFrame(
    {
        "user_id": np.array([7, 8], dtype=np.int64),
        "label0": [1.0, 0.5],
        "images": [[b"a", b"c"], np.array([b"b", b"d"], dtype=object)],
        "prompt": pd.Series(["x", "ü"], dtype=object),
        "number": pd.Series([np.int64(3), 4], dtype=object),
    }
)
FRAME.columns = pd.Index(list(FRAME.columns), dtype=object)
ROWS = [
    {"user_id": 7, "label0": 1.0, "images": [b"a", b"c"], "prompt": "x", "number": 3},
    {"user_id": 8, "label0": 0.5, "images": [b"b", b"d"], "prompt": "ü", "number": 4},
]


class OldPickler(pickle.Pickler):
    """Blocks as pandas 1.3 and 1.4 pickle them: called through `functools.partial`; NumPy under its old name."""

    def reducer_override(self, made: Any) -> Any:
        if type(made).__name__.endswith("Block"):
            from pandas.core.internals.blocks import new_block  # type: ignore[import-not-found]

            return partial(new_block, ndim=2), made.__reduce__()[1][:2]
        return NotImplemented


def old_pickle(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    OldPickler(stream, 3).dump(frame)
    return stream.getvalue().replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")


@pytest.mark.parametrize("protocol", [3, 4, 5, "old"])
def test_a_data_frame_is_read_without_pandas(tmp_path: Path, protocol: int | str) -> None:
    content = old_pickle(FRAME) if isinstance(protocol, str) else pickle.dumps(FRAME, protocol=protocol)
    rows = list(read_frame(write(tmp_path / "a.pkl", content), list(FRAME.columns)))
    assert [row.values for row in rows] == ROWS
    assert str(rows[1]).endswith("a.pkl row 2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "it holds no DataFrame"),
        (FRAME["label0"], "names pandas"),
        (FRAME.drop(columns="prompt"), "has no column prompt; its columns are .*user_id"),
        (FRAME.assign(prompt=pd.to_datetime(["2026", "2027"])), "names pandas"),
    ],
)
def test_another_object_than_such_a_frame_is_one_line(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(PrefbenchError, match=message):
        list(read_frame(write(tmp_path / "a.pkl", content), list(FRAME.columns)))

"""Writes a folder of judged pictures: rows and pictures as they come, so that a million of them need little memory."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from prefbench.api import PrefbenchError, UnreadableImageError
from prefbench.api.pictures import FORMATS, MAX_BYTES, decode_image, digest_of_plain
from prefbench.files import atomic_file, read_plain, write_atomic
from prefbench.suites.folder.card import DESCRIPTION
from prefbench.suites.folder.table import TABLES

_BATCH = 20_000
_SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}


@dataclass(frozen=True)
class JudgedPicture:
    """One judgment of a data set: a row of `metadata.parquet`, with its picture as a file or as bytes."""

    picture: Path | bytes
    user: str
    liked: bool | None = None
    rating: float | None = None
    pair: str = ""
    prompt: str = ""
    comment: str = ""
    split: str = ""
    part: str = ""
    source: str = ""
    time: str = ""


@dataclass
class Written:
    """What was written, and how many judgments were not, by the reason, with one example of each."""

    judgments: int = 0
    pictures: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


_TEXTS = [one.name for one in fields(JudgedPicture) if one.name not in ("picture", "liked", "rating")]
_SCHEMA = pa.schema(
    [("file_name", pa.string()), ("digest", pa.string()), ("liked", pa.bool_()), ("rating", pa.float64())]
    + [(name, pa.string()) for name in _TEXTS]
)


def write_folder(folder: Path, judged: Iterable[JudgedPicture], said: Mapping[str, str]) -> Written:
    """Writes pictures as they are, each once, then the table, so that a folder with a table is whole.

    Args:
        folder: a new one; what an interrupted call left there is gone over again.
        judged: the judgments.
        said: the entries of `suite.toml`.

    Raises:
        PrefbenchError: the folder holds a table already, or there is no judgment whose picture can be read.
    """
    present = [folder / name for name in TABLES if (folder / name).exists()]
    if present:
        raise PrefbenchError(f"{present[0]} exists already: name another folder, or delete this one")
    written, pictures = Written(), _Pictures(folder)
    with (
        atomic_file(folder / "metadata.parquet", inside=folder) as path,
        parquet.ParquetWriter(path, _SCHEMA) as writer,
    ):
        rows: list[dict[str, Any]] = []
        for one in judged:
            try:
                name, digest = pictures.put(one.picture)
            except UnreadableImageError as error:
                written.left_out["a picture that cannot be read"] += 1
                written.examples.setdefault("a picture that cannot be read", str(error))
                continue
            rows.append({"file_name": name, "digest": digest, "liked": one.liked, "rating": one.rating} | _texts(one))
            if len(rows) == _BATCH:
                written.judgments += _flush(writer, rows)
        written.judgments += _flush(writer, rows)
        written.pictures = len(pictures.stored)
        if not written.judgments:
            raise PrefbenchError(f"no judgment could be read{_example(written)}")
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in said.items()]
        write_atomic(folder / DESCRIPTION, "".join(lines), inside=folder)
    return written


class _Pictures:
    """Stores each picture once, under its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[Path | bytes, tuple[str, str]] = {}
        self.stored: set[str] = set()

    def put(self, picture: Path | bytes) -> tuple[str, str]:
        """The name and digest of a picture, stored if it is new. Raises `UnreadableImageError` where it is none."""
        key = picture if isinstance(picture, Path) else hashlib.sha256(picture).digest()
        if key not in self._names:
            self._names[key] = self._store(picture)
        return self._names[key]

    def _store(self, picture: Path | bytes) -> tuple[str, str]:
        data, origin = (picture, "a picture") if isinstance(picture, bytes) else (_bytes(picture), str(picture))
        digest = digest_of_plain(decode_image(data, origin=origin))
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            name = f"pictures/{digest[:2]}/{digest}.{_SUFFIXES[image.format or 'PNG']}"
        if digest not in self.stored:
            write_atomic(self._folder / name, data, inside=self._folder)
            self.stored.add(digest)
        return name, digest


def _bytes(path: Path) -> bytes:
    try:
        return read_plain(path, MAX_BYTES)
    except FileNotFoundError:
        raise UnreadableImageError(f"{path}: there is no such file") from None
    except PrefbenchError as error:
        raise UnreadableImageError(str(error)) from error


def _texts(one: JudgedPicture) -> dict[str, str]:
    return {name: getattr(one, name) for name in _TEXTS}


def _flush(writer: parquet.ParquetWriter, rows: list[dict[str, Any]]) -> int:
    """Writes the rows and forgets them; how many there were."""
    n = len(rows)
    if n:
        writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
        rows.clear()
    return n


def _example(written: Written) -> str:
    return "".join(f"; {why}: {n}, such as {written.examples[why]}" for why, n in written.left_out.items())

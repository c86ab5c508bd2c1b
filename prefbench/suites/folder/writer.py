"""Writes a folder of judged pictures: rows and pictures as they come, so that a million of them need little memory."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from prefbench.api import PrefbenchError, UnreadableImageError
from prefbench.api.pictures import FORMATS, MAX_BYTES, decode_image, digest_of_plain
from prefbench.files import atomic_file, read_plain, remove_leftovers, write_atomic
from prefbench.run.texts import ID_LIMIT
from prefbench.suites.folder.card import DESCRIPTION
from prefbench.suites.folder.table import LIMITS, TABLES

_LOG = logging.getLogger(__name__)
_BATCH = 20_000
_SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}


class Stored(Protocol):
    """A picture that is read when it is needed, such as a member of an archive."""

    @property
    def key(self) -> str:
        """What no other picture of the copy has."""

    def read(self) -> bytes:
        """The bytes of the file. Raises `UnreadableImageError` where they are not to be had."""


@dataclass(frozen=True)
class JudgedPicture:
    """One judgment of a data set: a row of `metadata.parquet`, its picture a file, bytes or in an archive."""

    picture: Path | bytes | Stored
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


@dataclass(frozen=True)
class LeftOut:
    """A judgment of a data set that becomes no row, such as a tie: the reason, as `N judgments: reason`, and which."""

    why: str
    example: str


Judged = JudgedPicture | LeftOut


@dataclass
class Written:
    """What was written, and how many judgments were not, by the reason, with one example of each."""

    judgments: int = 0
    pictures: int = 0
    prompts: bool = False
    """Whether some judgment says what its picture was drawn for."""
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


_TEXTS = [one.name for one in fields(JudgedPicture) if one.name not in ("picture", "liked", "rating")]
_SCHEMA = pa.schema(
    [("file_name", pa.string()), ("digest", pa.string()), ("liked", pa.bool_()), ("rating", pa.float64())]
    + [(name, pa.string()) for name in _TEXTS]
)


def write_folder(folder: Path, judged: Iterable[Judged], said: Mapping[str, str]) -> Written:
    """Writes pictures as they are, each once, then the table, so that a folder with a table is whole.

    Of judgments with a `part`, those whose picture the other part has already are left out.

    Args:
        folder: a new one, or what an interrupted call left: its pictures are used again.
        judged: the judgments, and what is left out.
        said: the entries of `suite.toml`.

    Raises:
        PrefbenchError: the folder holds a table already, or there is no judgment whose picture can be read.
    """
    present = [folder / name for name in TABLES if (folder / name).exists()]
    if present:
        raise PrefbenchError(f"{present[0]} exists already: name another folder, or delete this one")
    remove_leftovers(folder)
    written, pictures = Written(), _Pictures(folder)
    with (
        atomic_file(folder / "metadata.parquet", inside=folder) as path,
        parquet.ParquetWriter(path, _SCHEMA) as writer,
    ):
        rows: list[dict[str, Any]] = []
        for one in judged:
            row = _row(one, pictures)
            if isinstance(row, LeftOut):
                written.left_out[row.why] += 1
                written.examples.setdefault(row.why, row.example)
                continue
            rows.append(row)
            written.prompts = written.prompts or bool(row["prompt"])
            if len(rows) == _BATCH:
                written.judgments += _flush(writer, rows)
                _LOG.info("%s judgments of %s pictures written", f"{written.judgments:,}", f"{pictures.count:,}")
        written.judgments += _flush(writer, rows)
        written.pictures = pictures.count
        if not written.judgments:
            raise PrefbenchError(f"no judgment could be read{_example(written)}")
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in said.items()]
        write_atomic(folder / DESCRIPTION, "".join(lines), inside=folder)
    return written


def _row(one: Judged, pictures: _Pictures) -> dict[str, Any] | LeftOut:
    if isinstance(one, LeftOut):
        return one
    if wrong := next((name for name in _TEXTS if not _holds(getattr(one, name), LIMITS.get(name, ID_LIMIT))), ""):
        return LeftOut("with a text that is too long or no text", f"{wrong} {ascii(getattr(one, wrong))[:80]}")
    try:
        stored = pictures.put(one.picture)
    except UnreadableImageError as error:
        return LeftOut("a picture that cannot be read", str(error))
    if one.part and pictures.parts.setdefault(stored.digest, one.part) != one.part:
        return LeftOut("of a picture that the other part has already", stored.name)
    named = {"file_name": stored.name, "digest": stored.digest.hex()}
    return named | {"liked": one.liked, "rating": one.rating} | {name: getattr(one, name) for name in _TEXTS}


def _holds(text: str, limit: int) -> bool:
    """Whether a table that is read again may hold the text."""
    plain = text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
    return len(text) <= limit and "\0" not in text and plain


class _Name(NamedTuple):
    """A stored picture, in as few bytes as a million of them allow."""

    digest: bytes
    suffix: str

    @property
    def name(self) -> str:
        text = self.digest.hex()
        return f"pictures/{text[:2]}/{text}.{self.suffix}"


class _Pictures:
    """Stores each picture once, under its digest.

    Attributes:
        parts: by the digest of a picture, the part of its first judgment that names one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[bytes, _Name | str] = {}
        self._stored: dict[bytes, _Name] = {}
        self.parts: dict[bytes, str] = {}

    @property
    def count(self) -> int:
        """How many pictures are stored."""
        return len(self._stored)

    def put(self, picture: Path | bytes | Stored) -> _Name:
        """The name of a picture, stored if it is new. Raises `UnreadableImageError` where it is none."""
        named = picture if isinstance(picture, bytes) else _key(picture).encode(errors="surrogateescape")
        key = hashlib.blake2b(named, digest_size=16, person=b"bytes" if named is picture else b"name").digest()
        if key not in self._known:
            self._known[key] = self._store(picture)
        known = self._known[key]
        if isinstance(known, str):
            raise UnreadableImageError(known)
        return known

    def _store(self, picture: Path | bytes | Stored) -> _Name | str:
        """The name, or why there is none: a picture that cannot be read is tried once."""
        try:
            data = picture if isinstance(picture, bytes) else _bytes(picture)
            origin = "a picture" if isinstance(picture, bytes) else _key(picture)
            digest = bytes.fromhex(digest_of_plain(decode_image(data, origin=origin)))
        except UnreadableImageError as error:
            return str(error)
        if digest not in self._stored:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                stored = _Name(digest, _SUFFIXES[image.format or "PNG"])
            path = self._folder / stored.name
            if not (path.is_file() and not path.is_symlink()):  # an interrupted call left it, whole
                write_atomic(path, data, inside=self._folder)
            self._stored[digest] = stored
        return self._stored[digest]


def _key(picture: Path | Stored) -> str:
    return str(picture) if isinstance(picture, Path) else picture.key


def _bytes(picture: Path | Stored) -> bytes:
    if not isinstance(picture, Path):
        return picture.read()
    try:
        return read_plain(picture, MAX_BYTES)
    except FileNotFoundError:
        raise UnreadableImageError(f"{picture}: there is no such file") from None
    except PrefbenchError as error:
        raise UnreadableImageError(str(error)) from error


def _flush(writer: parquet.ParquetWriter, rows: list[dict[str, Any]]) -> int:
    """Writes the rows and forgets them; how many there were."""
    n = len(rows)
    if n:
        writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
        rows.clear()
    return n


def _example(written: Written) -> str:
    return "".join(f"; {why}: {n}, such as {written.examples[why]}" for why, n in written.left_out.items())

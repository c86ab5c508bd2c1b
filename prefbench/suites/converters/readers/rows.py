"""Rows of tables as owners publish them, one at a time: CSV, JSON, JSON Lines, Parquet."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from prefbench.api import PrefbenchError
from prefbench.files import open_plain

SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
LARGEST = 2**40
"""Bytes of a table that is read row by row."""
_CHUNK = 2**20
_LARGEST_ROW = 2**26
"""Characters of one row of JSON."""
_DECODER, _VISIBLE = json.JSONDecoder(), re.compile(r"\S")
_PICTURES, _PLAIN = 32, 4096
"""Rows of Parquet in memory at once, with and without binary columns."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, with its place for messages; values are taken out in the type that is needed."""

    path: Path
    number: int
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A text; empty for a missing one. Whole numbers have no point, so ids are the same in every kind of file."""
        value = self.values.get(name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, str | int | float):
            return str(value).strip()
        raise self.wrong(name, "a text or a number")

    def float(self, name: str) -> float | None:
        """A finite number; None for a missing one. Raises `PrefbenchError` for what is none."""
        text = self.text(name)
        if not text or text.lower() in ("nan", "null", "none"):
            return None
        try:
            number = float(text)
        except ValueError:
            raise self.wrong(name, "a number") from None
        if not math.isfinite(number):
            raise self.wrong(name, "a finite number")
        return number

    def texts(self, name: str) -> list[str]:
        """A list of texts; of one text a list of one."""
        value = self.values.get(name)
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self.wrong(name, "a list of texts")
        return list(value)

    def wrong(self, name: str, what: str) -> PrefbenchError:
        """The error for a value that is not what the column holds."""
        return PrefbenchError(f"{self}: {name} is {what}, got {str(self.values.get(name))[:80]!r}")

    def __str__(self) -> str:
        return f"{self.path} row {self.number}"


def read_rows(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a table, counted from 1, with the named columns alone; few are in memory at a time.

    Args:
        path: a CSV, Parquet or JSON Lines file, or JSON that is a list of objects.
        needed: columns that must be there; in JSON in every row.
        optional: columns that are read where there are such.

    Raises:
        PrefbenchError: the file cannot be read, is of another kind, or lacks a column; the columns found are named.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise PrefbenchError(f"{path} ends with none of {', '.join(SUFFIXES)}")
    read = {".csv": _csv, ".parquet": _parquet}.get(path.suffix.lower(), _json)
    columns_read = {*needed, *optional}
    with _opened(path) as stream:
        for number, values in enumerate(read(path, stream, needed, columns_read), 1):
            yield Row(path, number, values)


def check_columns(where: object, found: Sequence[str], needed: Sequence[str]) -> None:
    """Raises `PrefbenchError` with all columns found where a needed one is missing."""
    lacking = [name for name in needed if name not in found]
    if lacking:
        names = ", ".join(str(name)[:60] for name in found[:40]) or "none"
        raise PrefbenchError(f"{where} has no column {', '.join(lacking)}; its columns are {names}")


def the_table(folder: Path, *names: str) -> Path:
    """The first of some files, each a path below the folder, that exists. Raises `PrefbenchError` where none does."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise PrefbenchError(f"{folder} holds none of {', '.join(names)}")


def _opened(path: Path) -> Any:
    try:
        return open_plain(path, LARGEST)
    except FileNotFoundError:
        raise PrefbenchError(f"there is no {path}") from None


def _csv(path: Path, stream: BinaryIO, needed: Sequence[str], columns_read: set[str]) -> Iterator[dict[str, Any]]:
    try:
        reader = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), strict=True)
        names = [name.strip() for name in next(reader, [])]
        check_columns(path, names, needed)
        places = [(i, name) for i, name in enumerate(names) if name in columns_read]
        for n, row in enumerate(reader, 1):
            if len(row) != len(names) and row:
                raise PrefbenchError(f"{path} row {n}: {len(row)} values for {len(names)} columns")
            if row:
                yield {name: row[i] for i, name in places}
    except UnicodeDecodeError as error:
        raise PrefbenchError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise PrefbenchError(f"{path} is no CSV: {error}") from error


def _parquet(path: Path, stream: BinaryIO, needed: Sequence[str], columns_read: set[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(stream, buffer_size=_CHUNK)
        names = file.schema_arrow.names
        check_columns(path, names, needed)
        columns = [name for name in names if name in columns_read]
        kinds = [file.schema_arrow.field(name).type for name in columns]
        heavy = any(
            pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) for kind in kinds
        )
        for batch in file.iter_batches(_PICTURES if heavy else _PLAIN, columns=columns, use_threads=False):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise PrefbenchError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _json(path: Path, stream: BinaryIO, needed: Sequence[str], columns_read: set[str]) -> Iterator[dict[str, Any]]:
    for n, row in enumerate(_objects(path, stream), 1):
        check_columns(f"{path} row {n}", list(row), needed)
        yield {name: row[name] for name in columns_read & row.keys()}


def _objects(path: Path, stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The objects of a list or of lines, decoded one by one from a window of the text."""
    decode = codecs.getincrementaldecoder("utf-8-sig")().decode
    seen = 0
    try:
        window = _Window(lambda size: decode(chunk := stream.read(size), not chunk))
        is_list = window.take("[")
        while (row := window.next_value(end="]" if is_list else "")) is not None:
            if not isinstance(row, dict):
                raise PrefbenchError(f"{path} row {seen + 1}: not an object of names and values")
            seen += 1
            yield row
            window.take(",")
    except json.JSONDecodeError as error:
        raise PrefbenchError(f"{path} is no JSON after row {seen}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise PrefbenchError(f"{path} is not UTF-8 text ({error.reason})") from error
    except RecursionError as error:
        raise PrefbenchError(f"{path} row {seen + 1} is nested too deep") from error


class _Window:
    """The part of a text that is not yet decoded.

    Args:
        more: gives about so many characters more; none at the end.
    """

    def __init__(self, more: Callable[[int], str]) -> None:
        self._more, self._text, self._at, self._ended = more, "", 0, False

    def take(self, sign: str) -> bool:
        """Whether the next character is this one; it is passed over, as is the space before it."""
        while (found := _VISIBLE.search(self._text, self._at)) is None and not self._ended:
            self._read()
        self._at = len(self._text) if found is None else found.start()
        is_next = found is not None and found[0] == sign
        self._at += is_next
        return is_next

    def next_value(self, *, end: str) -> Any:
        """The next value; None where the text is over, which is at `end`. Raises `JSONDecodeError`."""
        if self.take(end) or (not end and self._at == len(self._text)):
            return None
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended or len(self._text) - self._at > _LARGEST_ROW:
                    raise
                self._read()
            else:
                return value

    def _read(self) -> None:
        rest = self._text[self._at :]
        chunk = self._more(max(_CHUNK, len(rest)))
        self._text, self._at, self._ended = rest + chunk, 0, not chunk

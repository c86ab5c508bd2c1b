"""Tables of users: the columns of a CSV, JSON Lines or Parquet file as texts, and the line for a wrong row."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pandas as pd

from prefbench.api import PrefbenchError
from prefbench.files import open_plain

if TYPE_CHECKING:
    import pyarrow as pa


def read_columns(path: Path, texts: tuple[str, ...]) -> pd.DataFrame:
    """The columns of a CSV, JSON Lines or Parquet file as texts, empty where a value is missing; rows count from 1.

    Args:
        path: the file.
        texts: the columns of a CSV whose values are taken as they stand, leading zeros included.

    Raises:
        PrefbenchError: it cannot be read, or has a column twice.
    """
    import pyarrow as pa

    with open_plain(path) as stream:
        try:
            table = _read(path.suffix.lower(), stream, texts)
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
            raise PrefbenchError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    names = table.column_names
    if len(names) > len({*names}):
        raise PrefbenchError(f"{path} has the column {max(names, key=names.count)!r} twice")
    frame = pd.DataFrame({name: _as_text(table.column(name)) for name in names})
    frame.index += 1
    return frame


def check_columns(path: Path, columns: pd.DataFrame, known: Sequence[str]) -> None:
    """Raises `PrefbenchError` for a column that was to be a known one: passed over, one of users would make all of them
    one person.
    """
    absent = [name for name in known if name not in columns]
    for name in (str(name) for name in columns if name not in known):
        start = re.split(r"[\W_]", name.strip().lower())[0]
        near = [start] if start in absent else difflib.get_close_matches(name.lower(), absent, n=1, cutoff=0.8)
        if near:
            said = f"the column {name!r} is not read; did you mean {near[0]!r}? Rename or drop it"
            raise PrefbenchError(f"{path}: {said}")


def check_rows(path: Path, wrong: pd.Series[bool], shown: pd.Series[Any], what: str) -> None:
    """Raises `PrefbenchError` with the first wrong row and its value, and how many more there are."""
    rows = wrong.index[wrong]
    if len(rows):
        more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
        raise PrefbenchError(f"{path} row {rows[0]}: {what}, got {str(shown[rows[0]])[:80]!r}{more}")


def _read(suffix: str, stream: BinaryIO, texts: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    if suffix == ".csv":
        return csv.read_csv(
            stream,
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string())),
        )
    if suffix == ".jsonl":
        return json.read_json(stream, parse_options=json.ParseOptions(newlines_in_values=False))
    return parquet.read_table(stream)


def _as_text(column: pa.ChunkedArray) -> pd.Series[str]:
    """Values as text: numbers that are whole without a point, so that ids are the same in every kind of file."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type) and compute.all(compute.equal(column, compute.trunc(column))).as_py():
        column = column.cast(pa.int64(), safe=False)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return pd.Series([""] * len(column), dtype="str")
    return pd.Series(column.cast(pa.string()).fill_null("").to_pandas(), dtype="str")

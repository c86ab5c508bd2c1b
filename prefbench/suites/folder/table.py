"""The table of a folder of judged pictures: `metadata.csv`, `.jsonl` or `.parquet`, one row per judgment, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd

from prefbench.api import SPLITS, VIEWERS, PrefbenchError
from prefbench.api.near import unknown
from prefbench.files import open_plain
from prefbench.run.texts import ID_LIMIT, TEXT_LIMIT

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
PERSON = "user"
"""The id of the one person of a folder that names none."""
TEXTS = ("file_name", "user", "pair", "prompt", "comment", "split", "part", "source", "digest")
COLUMNS = (*TEXTS, "liked", "rating", "time")
"""The columns that are read; `file_name` and one of `liked` and `rating` are needed."""
_LIMITS = {"prompt": TEXT_LIMIT, "comment": TEXT_LIMIT}
_LIKED = {**dict.fromkeys(("true", "1", "1.0", "yes"), True), **dict.fromkeys(("false", "0", "0.0", "no"), False)}
_ALIASES = {"validation": "val", "dev": "val"}


@dataclass(frozen=True)
class Judged:
    """The judgments of a folder as its table or its folders have them.

    Attributes:
        rows: `COLUMNS`; texts are empty where there is nothing, `liked` is true, false or missing, `rating` and `time`
            are numbers or missing. The index counts the rows of the table from 1.
        source: the table, or the folder itself.
        unused: columns or files that were passed over, as the inventory names them.
    """

    rows: pd.DataFrame
    source: Path
    unused: tuple[str, ...] = ()


def find_table(folder: Path) -> Path | None:
    """The one table of a folder; None where there is none.

    Raises:
        PrefbenchError: there are two, and nothing tells which one counts.
    """
    tables = [folder / name for name in TABLES if (folder / name).exists()]
    if len(tables) > 1:
        raise PrefbenchError(f"{folder} has {' and '.join(path.name for path in tables)}: keep one of them")
    return tables[0] if tables else None


def read_table(path: Path) -> Judged:
    """The rows of a table, every value checked.

    Raises:
        PrefbenchError: in one line with the number of the row, what cannot be read or has no meaning.
    """
    columns = read_columns(path, COLUMNS)
    unused = tuple(f"column {name}" for name in columns if name not in COLUMNS)
    if "file_name" not in columns or not {"liked", "rating"} & {*columns}:
        lacking = "liked (or rating)" if "file_name" in columns else "file_name"
        raise PrefbenchError(
            f"{path} has no column {lacking}; its columns are {', '.join(map(str, columns)) or 'none'}"
        )
    if columns.empty:
        raise PrefbenchError(f"{path} has no rows")
    return Judged(_checked(path, columns.reindex(columns=list(COLUMNS), fill_value="")), path, unused)


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
            table = _read(path.suffix, stream, texts)
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
            raise PrefbenchError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    names = table.column_names
    if len(names) > len({*names}):
        raise PrefbenchError(f"{path} has the column {max(names, key=names.count)!r} twice")
    frame = pd.DataFrame({name: _as_text(table.column(name)) for name in names})
    frame.index += 1
    return frame


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


def _checked(path: Path, columns: pd.DataFrame) -> pd.DataFrame:
    """The rows with their values in their types."""
    rows = columns[list(TEXTS)].apply(lambda column: column.str.strip() if column.name != "comment" else column)
    for name in TEXTS:
        limit = _LIMITS.get(name, ID_LIMIT)
        wrong = (rows[name].str.len() > limit) | rows[name].str.contains("\0", regex=False)
        check_rows(path, wrong, rows[name], f"{name} has at most {limit:,} characters and no NUL")
    _check_names(path, rows["file_name"])
    rows["user"] = rows["user"].where(rows["user"] != "", PERSON) if (rows["user"] == "").all() else rows["user"]
    check_rows(path, rows["user"] == "", columns["file_name"], "no user is named")
    rows["split"] = rows["split"].replace(_ALIASES)
    _check_choice(path, "split", rows["split"], SPLITS)
    _check_choice(path, "part", rows["part"], VIEWERS)
    _check_one_split(path, rows)
    rows["digest"] = rows["digest"].str.lower()
    check_rows(
        path, ~rows["digest"].str.fullmatch("([0-9a-f]{64})?"), rows["digest"], "digest is the SHA-256 of the pixels"
    )
    checked: pd.DataFrame = pd.concat([rows, _numbers(path, columns)], axis=1)
    return checked


def _check_names(path: Path, names: pd.Series[str]) -> None:
    outside = names.str.contains(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:", regex=True)
    check_rows(path, (names == "") | outside, names, "file_name is a path inside the folder")


def _check_choice(path: Path, name: str, column: pd.Series[str], allowed: tuple[str, ...]) -> None:
    wrong = column.index[~column.isin(["", *allowed])]
    if len(wrong):
        raise PrefbenchError(f"{path} row {wrong[0]}: {unknown(name, column[wrong[0]], list(allowed), _ALIASES)}")


def _check_one_split(path: Path, rows: pd.DataFrame) -> None:
    first = rows.groupby("user", sort=False)["split"].transform("first")
    check_rows(path, rows["split"] != first, rows["user"], "a user is in one split, and this one is in two")


def _numbers(path: Path, columns: pd.DataFrame) -> pd.DataFrame:
    """`liked`, `rating` and `time`."""
    texts = columns["liked"].str.strip().str.lower()
    liked = texts.map(_LIKED).astype("boolean")
    check_rows(path, liked.isna() & (texts != ""), columns["liked"], "liked is true or false")
    rating = _number(path, "rating", columns["rating"])
    check_rows(path, liked.isna() & rating.isna(), columns["file_name"], "neither liked nor rating has a value")
    time = pd.to_numeric(columns["time"], errors="coerce")
    if (time.isna() & (columns["time"] != "")).any():
        moments = pd.to_datetime(columns["time"], errors="coerce", utc=True, format="ISO8601")
        check_rows(path, moments.isna() & (columns["time"] != ""), columns["time"], "time is a number or ISO 8601")
        time = pd.Series(moments.astype("int64") / 1e9, columns.index).where(moments.notna())
    return pd.DataFrame({"liked": liked, "rating": rating, "time": time})


def _number(path: Path, name: str, texts: pd.Series[str]) -> pd.Series[float]:
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    infinite = numbers.isna() | np.isinf(numbers)
    check_rows(path, infinite & (texts.str.strip() != ""), texts, f"{name} is a finite number")
    return numbers

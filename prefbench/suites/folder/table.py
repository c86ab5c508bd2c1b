"""The table of a folder of judged pictures: `metadata.csv`, `.jsonl` or `.parquet`, one row per judgment, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from prefbench.api import SPLITS, VIEWERS, PrefbenchError
from prefbench.api.near import unknown
from prefbench.run.columns import check_columns, check_rows, read_columns
from prefbench.run.texts import ID_LIMIT, TEXT_LIMIT

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
PERSON = "user"
"""The id of the one person of a folder that names none."""
TEXTS = ("file_name", "user", "pair", "prompt", "comment", "split", "part", "source", "digest")
COLUMNS = (*TEXTS, "liked", "rating", "time")
"""The columns that are read; `file_name` and one of `liked` and `rating` are needed."""
LIMITS = {"prompt": TEXT_LIMIT, "comment": TEXT_LIMIT}
"""Characters of texts that may be longer than an id."""
_LIKED, _DISLIKED = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no")
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
    check_columns(path, columns, COLUMNS)
    return Judged(_checked(path, columns), path, unused)


def _checked(path: Path, columns: pd.DataFrame) -> pd.DataFrame:
    """The rows with their values in their types."""
    empty = pd.Series("", columns.index, dtype="str")
    columns = pd.DataFrame({name: columns.get(name, empty) for name in COLUMNS})
    rows = pd.DataFrame({name: columns[name] if name == "comment" else columns[name].str.strip() for name in TEXTS})
    for name in TEXTS:
        limit = LIMITS.get(name, ID_LIMIT)
        wrong = (rows[name].str.len() > limit) | rows[name].str.contains("\0", regex=False)
        check_rows(path, wrong, rows[name], f"{name} has at most {limit:,} characters and no NUL")
    check_names(path, rows["file_name"], "file_name")
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


def check_names(path: Path, names: pd.Series[str], column: str) -> None:
    """Raises `PrefbenchError` for a name that is no path inside the folder of the table."""
    outside = names.str.contains(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:", regex=True)
    check_rows(path, (names == "") | outside, names, f"{column} is a path inside the folder")


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
    liked = texts.isin(_LIKED).astype("boolean").where(texts.isin([*_LIKED, *_DISLIKED]))
    check_rows(path, liked.isna() & (texts != ""), columns["liked"], "liked is true or false")
    rating = _number(path, "rating", columns["rating"])
    check_rows(path, liked.isna() & rating.isna(), columns["file_name"], "neither liked nor rating has a value")
    time = _parsed(columns["time"])
    if (time.isna() & (columns["time"] != "")).any():
        moments = pd.to_datetime(columns["time"], errors="coerce", utc=True, format="ISO8601")
        check_rows(path, moments.isna() & (columns["time"] != ""), columns["time"], "time is a number or ISO 8601")
        time = pd.Series(moments.astype("int64") / 1e9, columns.index).where(moments.notna())
    return pd.DataFrame({"liked": liked, "rating": rating, "time": time})


def _parsed(texts: pd.Series[str]) -> pd.Series[float]:
    """Numbers; missing where a text is none. A column that is empty or not there costs nothing."""
    numbers: pd.Series[float] = pd.to_numeric(texts[texts != ""], errors="coerce").astype(float)
    return numbers.reindex(texts.index)


def _number(path: Path, name: str, texts: pd.Series[str]) -> pd.Series[float]:
    numbers = _parsed(texts)
    infinite = numbers.isna() | np.isinf(numbers)
    check_rows(path, infinite & (texts.str.strip() != ""), texts, f"{name} is a finite number")
    return numbers

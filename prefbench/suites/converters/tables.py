"""Tables of choices and of ratings, whoever made them: the converters `choices` and `ratings`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.run.columns import check_rows, read_columns
from prefbench.suites.converters.converter import Converter
from prefbench.suites.folder.writer import JudgedPicture

_TRUE, _FALSE = ("1", "true", "left", "yes"), ("0", "false", "right", "no")


def read_choices(
    source: Path,
    *,
    user: str = "user",
    left: str = "left",
    right: str = "right",
    chosen: str = "chosen",
    prompt: str = "prompt",
    pictures: str = "",
) -> Iterator[JudgedPicture]:
    """Forced choices: two rows for each, of which one is liked.

    Args:
        source: a CSV, JSON Lines or Parquet file with one choice a row.
        user, left, right: columns with the person and the file names of the two pictures.
        chosen: the column with the choice: `left` or `right`, true or 1 for left, or the chosen file's name.
        prompt: the column with the prompt of both; passed over where there is none.
        pictures: the folder with the pictures; by default the table's, or `pictures/` in it.
    """
    table = _columns(source, {"user": user, "left": left, "right": right, "chosen": chosen}, prompt)
    folder = _folder(source, pictures)
    is_left = _chose_left(source, table)
    for n, row in enumerate(table.assign(is_left=is_left).to_dict("records"), 1):
        for side in ("left", "right"):
            liked = row["is_left"] == (side == "left")
            yield JudgedPicture(folder / row[side], row["user"], liked, pair=str(n), prompt=row["prompt"])


def read_ratings(
    source: Path,
    *,
    user: str = "user",
    picture: str = "picture",
    rating: str = "rating",
    prompt: str = "prompt",
    pictures: str = "",
) -> Iterator[JudgedPicture]:
    """Ratings: one row each; the suite makes likes of those above the user's own median.

    Args:
        source: a CSV, JSON Lines or Parquet file with one rating a row.
        user, picture, rating: columns with the person, the picture's file name, and a number that is higher for better.
        prompt: the column with the picture's prompt; passed over where there is none.
        pictures: the folder with the pictures; by default the table's, or `pictures/` in it.
    """
    table = _columns(source, {"user": user, "picture": picture, "rating": rating}, prompt)
    numbers = pd.to_numeric(table["rating"], errors="coerce")
    check_rows(source, numbers.isna(), table["rating"], f"{rating} is a number")
    folder = _folder(source, pictures)
    for name, person, text, value in zip(table["picture"], table["user"], table["prompt"], numbers, strict=True):
        yield JudgedPicture(folder / name, person, rating=float(value), prompt=text)


def _columns(source: Path, names: dict[str, str], prompt: str) -> pd.DataFrame:
    """The named columns under names of ours. Raises `PrefbenchError` for one that is not there."""
    if not source.is_file():
        raise PrefbenchError(f"{source} is no file: a table is CSV, JSON Lines or Parquet")
    if source.suffix not in (".csv", ".jsonl", ".parquet"):
        raise PrefbenchError(f"{source} ends with none of .csv, .jsonl, .parquet")
    columns = read_columns(source, (*names.values(), prompt))
    for name, column in names.items():
        if column not in columns:
            parameter = unknown(f"column {name}", column, list(map(str, columns)))
            raise PrefbenchError(f"{source}: {parameter}; -p {name}=COLUMN names another")
    table = pd.DataFrame({name: columns[column].str.strip() for name, column in names.items()})
    for name in names:
        check_rows(source, table[name] == "", table[name], f"{names[name]} has no value")
    return table.assign(prompt=columns[prompt].str.strip() if prompt in columns else "")


def _folder(source: Path, pictures: str) -> Path:
    if pictures:
        return Path(pictures)
    beside = source.parent / "pictures"
    return beside if beside.is_dir() else source.parent


def _chose_left(source: Path, table: pd.DataFrame) -> pd.Series[bool]:
    texts = table["chosen"].str.lower()
    is_left = texts.isin(_TRUE) | (table["chosen"] == table["left"])
    is_right = texts.isin(_FALSE) | (table["chosen"] == table["right"])
    what = "the choice is left or right, true or false for left, or the file that was chosen"
    check_rows(source, is_left == is_right, table["chosen"], what)
    return is_left


_OWN = {"source": "a table of your own", "licence": "that of the table", "terms": "", "get": "SOURCE is the table"}
CHOICES = Converter("choices", "forced choices between two pictures, one a row", read=read_choices, **_OWN)
RATINGS = Converter("ratings", "ratings of pictures, one a row", read=read_ratings, **_OWN)

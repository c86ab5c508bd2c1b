"""Tables of choices and of ratings, whoever made them: the converters `choices` and `ratings`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.run.columns import check_rows, read_columns
from prefbench.suites.converters.converter import Converter, ConverterCard
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
        user: the column with the person.
        left: the column with the file name of one picture.
        right: the column with that of the other.
        chosen: the column with the choice: `left` or `right`, true or 1 for left, or the chosen file's name.
        prompt: the column with the prompt of both; passed over where there is none.
        pictures: the folder with the pictures; by default the table's, or `pictures/` in it.
    """
    table = _columns(source, {"user": user, "left": left, "right": right, "chosen": chosen}, prompt)
    folder = _folder(source, pictures)
    is_left = _chose_left(source, table)
    names = ["user", "left", "right", "prompt"]
    for n, (person, *sides, text, is_first) in enumerate(
        zip(*(table[name] for name in names), is_left, strict=True), 1
    ):
        for name, liked in zip(sides, (bool(is_first), not is_first), strict=True):
            yield JudgedPicture(folder / name, person, liked, pair=str(n), prompt=text)


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
        user: the column with the person.
        picture: the column with the picture's file name.
        rating: the column with a number that is higher for better.
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


_SOURCE, _LICENCE, _GET = "a table of your own", "that of the table", "SOURCE is a CSV, JSON Lines or Parquet file"
CHOICES = Converter(
    ConverterCard(
        name="choices",
        summary="forced choices between two pictures, one a row, in a table of your own",
        source=_SOURCE,
        licence=_LICENCE,
        get=_GET,
        takes="file",
        keeps="two rows for each choice, the chosen picture liked and the other not",
    ),
    read_choices,
)
RATINGS = Converter(
    ConverterCard(
        name="ratings",
        summary="ratings of pictures, one a row, in a table of your own",
        source=_SOURCE,
        licence=_LICENCE,
        get=_GET,
        takes="file",
        keeps="one row for each rating; above the user's own median is a like, below it a dislike",
    ),
    read_ratings,
)

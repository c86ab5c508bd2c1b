"""A table of finished images: `.csv`, `.jsonl` or `.parquet` with the columns `COLUMNS`, one row for each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from prefbench.api import PrefbenchError
from prefbench.run.columns import check_columns, check_rows, read_columns
from prefbench.run.given.image import GivenImage, GivenImages
from prefbench.run.given.names import Files
from prefbench.run.texts import ID_LIMIT, TEXT_LIMIT

SUFFIXES = (".csv", ".jsonl", ".parquet")
TEXTS = ("user", "prompt", "case", "image", "prompt_used")
NUMBERS = ("sample", "seed", "seconds")
COLUMNS = (*TEXTS, *NUMBERS)
_OF_EXPORTS = ("content",)
"""Columns of an exported table that say nothing of an image: it may be handed back as it is."""
_OUTSIDE = r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:"
_WHOLE = r"\s*[0-9]{1,19}\s*"
_MOST = 2**63 - 1


def read_images(path: Path) -> GivenImages:
    """The images of a table; their paths are relative to its folder.

    Raises:
        PrefbenchError: in one line with the number of the row, what cannot be read or has no meaning.
    """
    columns = read_columns(path, COLUMNS)
    check_columns(path, columns, COLUMNS)
    _check_needed(path, list(map(str, columns)))
    others = [f"column {name}" for name in columns if name not in (*COLUMNS, *_OF_EXPORTS)]
    if columns.empty:
        raise PrefbenchError(f"{path} has no rows")
    rows = columns.reindex(columns=list(COLUMNS), fill_value="")
    _check_texts(path, rows)
    numbers = {name: _whole(path, name, rows[name]) for name in ("sample", "seed")}
    seconds, files = _seconds(path, rows["seconds"]), Files(path.parent)
    images = []
    for n, row in enumerate(rows.to_dict("records"), 1):
        said = {name: str(row[name]).strip() for name in ("user", "prompt", "case")}
        counts = {name: int(values[n]) if values[n] else None for name, values in numbers.items()}
        image = _image(files, str(row["image"]).strip(), f"{path.name} row {n}")
        time, used = seconds[n], str(row["prompt_used"]) or None
        about = {**said, **counts, "seconds": None if np.isnan(time) else float(time), "prompt_used": used}
        images.append(GivenImage(**{**vars(image), **about}))
    return GivenImages(path, tuple(images), tuple(others))


def _check_needed(path: Path, names: list[str]) -> None:
    """Raises `PrefbenchError` for a table that names no image, or not what it shows."""
    listed = f"its columns are {', '.join(names) or 'none'}"
    if "image" not in names:
        raise PrefbenchError(f"{path} has no column image, with the file of each picture; {listed}")
    if not {"prompt", "case"} & {*names}:
        raise PrefbenchError(f"{path} has neither a column prompt nor a column case; {listed}")


def _check_texts(path: Path, rows: pd.DataFrame) -> None:
    for name in TEXTS:
        limit = ID_LIMIT if name in ("user", "image") else TEXT_LIMIT
        wrong = (rows[name].str.len() > limit) | rows[name].str.contains("\0", regex=False)
        check_rows(path, wrong, rows[name], f"{name} has at most {limit:,} characters and no NUL")
    names = rows["image"].str.strip()
    outside = names.str.contains(_OUTSIDE, regex=True)
    check_rows(path, (names == "") | outside, names, "image is a path inside the folder of the table")


def _whole(path: Path, name: str, texts: pd.Series[str]) -> pd.Series[str]:
    """Whole numbers as texts, empty where there is none: a column of floats would round large seeds."""
    texts = texts.str.strip()
    wrong = (texts != "") & ~texts.str.fullmatch(_WHOLE)
    wrong |= pd.Series([text.isdigit() and int(text) > _MOST for text in texts], texts.index, dtype=bool)
    check_rows(path, wrong, texts, f"{name} is a whole number from 0 to 2^63 - 1")
    return texts


def _seconds(path: Path, texts: pd.Series[str]) -> pd.Series[float]:
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    wrong = (texts.str.strip() != "") & ~((numbers >= 0) & (numbers < 1e100))
    check_rows(path, wrong, texts, "seconds is a number from 0 on")
    return numbers


def _image(files: Files, name: str, row: str) -> GivenImage:
    """The file of a row."""
    path = files.find(name)
    if files.leaves(path):
        return GivenImage(path, row, fault=f"{name} leads out of the folder by a link")
    if not path.exists():
        fault = f"there is no file {name}{files.near(name)}"
        return GivenImage(path, row, fault=fault, absent=not path.is_symlink())
    return GivenImage(path, row)

"""Simulacra Aesthetic Captions: ratings of pictures that early diffusion models drew, in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from prefbench.api import PrefbenchError
from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import check_columns
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut

_TABLES = {
    "survey": ("id", "qid"),
    "ratings": ("sid", "iid", "rating"),
    "images": ("id", "gid"),
    "paths": ("iid", "path"),
    "generations": ("id", "method", "prompt"),
}
_QUESTIONS = 20
_RATINGS = """
    SELECT r.rowid, r.sid, r.rating, p.path, g.prompt, g.method,
           (SELECT COUNT(*) FROM survey AS s WHERE s.id = r.sid) AS answers
    FROM ratings AS r
    LEFT JOIN paths AS p ON p.iid = r.iid
    LEFT JOIN images AS i ON i.id = r.iid
    LEFT JOIN generations AS g ON g.id = i.gid
    ORDER BY r.rowid
"""


def read_simulacra(source: Path) -> Iterator[Judged]:
    """One rating a row.

    Args:
        source: the folder with the SQLite file, and the tars of pictures or what is unpacked from them.
    """
    files = Pictures(source, by_name=True)
    database = _database(source)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=ro&immutable=1", uri=True)) as opened:
            opened.execute("PRAGMA trusted_schema = OFF")
            _check(database, opened)
            for number, user, rating, path, prompt, method, answers in opened.execute(_RATINGS):
                where = f"{database} rating {number}"
                if user is None or not isinstance(rating, int | float):
                    yield LeftOut("without a user or a rating", where)
                elif answers > _QUESTIONS:
                    yield LeftOut("of a survey with more than 20 answers, which its owner calls corrupted", where)
                elif not isinstance(path, str):
                    yield LeftOut("of a picture without a path", where)
                else:
                    text, drew = (str(prompt).strip() if prompt else ""), f"method {method}"
                    yield JudgedPicture(files.find(path), str(user), rating=float(rating), prompt=text, source=drew)
    except sqlite3.Error as error:
        raise PrefbenchError(f"{database} cannot be read: {error}") from error


def _database(source: Path) -> Path:
    found = sorted(path for path in source.glob("*.sqlite") if path.is_file())
    if len(found) != 1:
        raise PrefbenchError(
            f"{source} has {len(found)} files *.sqlite: one, such as sac_public_2022_06_29.sqlite, is read"
        )
    return found[0]


def _check(database: Path, opened: sqlite3.Connection) -> None:
    """Raises `PrefbenchError` where a table is missing, lacks a column, or is a view or virtual: these run code."""
    plain = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
    tables = [name for (name,) in opened.execute(plain)]
    lacking = [name for name in _TABLES if name not in tables]
    if lacking:
        raise PrefbenchError(
            f"{database} has no table {', '.join(lacking)}; its tables are {', '.join(tables) or 'none'}"
        )
    for name, needed in _TABLES.items():
        columns = [row[1] for row in opened.execute(f"PRAGMA table_info({name})")]
        check_columns(f"{database} table {name}", columns, needed)


SIMULACRA = Converter(
    ConverterCard(
        name="simulacra",
        summary="ratings, 1 to 10, of pictures that early diffusion models drew (Simulacra Aesthetic Captions 1.0)",
        source="https://github.com/JD-P/simulacra-aesthetic-captions",
        revision="0457ccb",
        licence="CC0-1.0",
        terms="no terms beside the licence, which gives up all rights; its owners ask to be cited",
        get="curl -OL https://raw.githubusercontent.com/JD-P/simulacra-aesthetic-captions/main/"
        "sac_public_2022_06_29.sqlite, and beside it curl -OL "
        "https://s3.us-west-1.wasabisys.com/simulacrabot/simulacra-aesthetic-captions/sac-{000000..000086}.tar",
        size="over 238,000 pictures in 87 tars",
        people="over 176,000 ratings of people, called by their answers to a survey of 20 questions, so that two with "
        "equal answers are one",
        keeps="each rating with prompt and method",
        drops="ratings of surveys with more than 20 answers, which its owner calls corrupted; ratings without a user "
        "or a path; which pictures were chosen to be upscaled",
        columns="as the script that made the file has them (JD-P/simulacrabot, export_dataset.py). It writes the "
        "survey of who asked for a picture beside all ratings of it, so a rating may be another person's: compare "
        "users with care",
    ),
    read_simulacra,
)

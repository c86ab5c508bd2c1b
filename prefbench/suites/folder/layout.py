"""A folder of judged pictures without a table: `<user>/liked/*` and `<user>/disliked/*`, of one person these two."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from prefbench.api import PrefbenchError, counted
from prefbench.suites.folder.table import COLUMNS, PERSON, TEXTS, Judged

SIDES = {"liked": True, "disliked": False}
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
"""Files of other endings are passed over."""
CONTENTS = "contents"
"""A folder beside those of users that may hold the pictures to redraw."""
_DOOR = "metadata.csv with the columns file_name, user, liked; or <user>/liked/ and <user>/disliked/"


def read_layout(folder: Path) -> Judged:
    """One row per picture file, in the order of their names.

    Raises:
        PrefbenchError: there is neither `liked/` nor a folder with one, a user has nothing but other folders, or one
            that is nearly called so.
    """
    people = {PERSON: folder} if _is_person(folder) else {path.name: path for path in _folders(folder)}
    if not any(map(_is_person, people.values())):
        raise PrefbenchError(f"{folder} has no judged pictures: {_DOOR}")
    strange = [path for path in people.values() if not _is_person(path) and path.name != CONTENTS]
    if strange:
        raise PrefbenchError(f"{strange[0]} has neither liked/ nor disliked/: one folder for each user, or {_DOOR}")
    beside = [path.relative_to(folder).as_posix() for home in people.values() for path in _beside(home)]
    entries = [(user, liked, path) for user, home in people.items() for liked, path in _files(home)]
    pictures = [(user, liked, path) for user, liked, path in entries if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise PrefbenchError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    rows = pd.DataFrame("", index=range(1, len(pictures) + 1), columns=list(TEXTS), dtype="str")
    rows["file_name"] = [path.relative_to(folder).as_posix() for _, _, path in pictures]
    rows["user"] = [user for user, _, _ in pictures]
    rows["liked"] = pd.array([liked for _, liked, _ in pictures], dtype="boolean")
    rows["rating"], rows["time"] = float("nan"), float("nan")
    others = len(entries) - len(pictures)
    unused = [f"{others} files that are no pictures"] * bool(others)
    unused += [f"{counted(len(beside), 'folder')} beside liked/ and disliked/, as {beside[0]}/"] if beside else []
    return Judged(rows[list(COLUMNS)], folder, tuple(unused))


def _is_person(folder: Path) -> bool:
    return any((folder / side).is_dir() for side in SIDES)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _beside(home: Path) -> list[Path]:
    """Folders of a user beside the two sides. Raises `PrefbenchError` for one that was to be a side."""
    others = [path for path in _folders(home) if path.name not in SIDES]
    for path in others:
        if near := difflib.get_close_matches(path.name.casefold(), SIDES, n=1, cutoff=0.75):
            raise PrefbenchError(f"{path} is not read; did you mean {near[0]}/? Rename it, or take it out")
    return others


def _files(home: Path) -> Iterator[tuple[bool, Path]]:
    """The files of both sides; hidden ones are of the system."""
    for side, liked in SIDES.items():
        if (home / side).is_dir():
            paths = sorted((home / side).iterdir())
            yield from ((liked, path) for path in paths if path.is_file() and not path.name.startswith("."))

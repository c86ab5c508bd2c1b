"""Names of users, prompts and files as different systems write them: what is the same, and what was meant."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from textwrap import shorten
from urllib.parse import quote

from prefbench.api import PrefbenchError
from prefbench.api.card_checks import is_name

_FORBIDDEN = frozenset('/\\:*?"<>|%')
"""Characters that some system takes no file name with; and the one that they are written with."""
_LONGEST = 100
"""Bytes of a folder's name."""


def same(text: str) -> str:
    """Equal for texts that differ in Unicode normal form, and in blanks at their ends or beside each other."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def meant(given: str, allowed: Iterable[str]) -> str:
    """The nearest name as the end of a message; empty where none is near."""
    names = {same(name).casefold(): name for name in allowed}
    near = difflib.get_close_matches(same(given).casefold(), names, n=1, cutoff=0.6)
    return f"; did you mean {shown(names[near[0]])}?" if near else ""


def shown(text: str) -> str:
    """A text as a message quotes it."""
    return repr(shorten(text, 80) if len(text) > 80 else text)


def folder_names(users: Iterable[str]) -> dict[str, str]:
    """User to the name of the user's folder, which every file system takes, and different ones for different users.

    It is the id where that can be one. Example:
        >>> folder_names(["ann", "Ann", "a/b", "CON"])
        {'ann': 'ann', 'Ann': 'Ann~2', 'a/b': 'a%2Fb', 'CON': '%43ON'}
    """
    names: dict[str, str] = {}
    times: dict[str, int] = defaultdict(int)
    for user in users:
        name = _folder_name(user)
        key = same(name).casefold()
        times[key] += 1
        names[user] = name if times[key] == 1 else f"{name}~{times[key]}"
    return names


def _folder_name(user: str) -> str:
    letters = unicodedata.normalize("NFC", user)
    name = "".join(quote(c, safe="") if c in _FORBIDDEN or not c.isprintable() else c for c in letters)
    name = re.sub(r"[. ]$", lambda end: f"%{ord(end[0]):02X}", name)
    if len(name.encode()) > _LONGEST:
        start = name.encode()[:60].decode(errors="ignore")
        name = f"{start}~{hashlib.sha256(user.encode()).hexdigest()[:8]}"
    return name if is_name(name) else f"%{ord(name[0]):02X}{name[1:]}"


def listing(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden files. Raises `PrefbenchError` where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise PrefbenchError(f"cannot read {folder}: {error.strerror}") from error


class Files:
    """The files of a folder by the names that a table has for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = os.path.realpath(folder)
        self._listing = cache(_by_name)

    def find(self, name: str) -> Path:
        """The file of a name: as it is written, else with slashes for backslashes, else in another Unicode normal form
        or in other case, where one alone fits. What is nowhere is returned as it is written.
        """
        plain = self.folder / name
        if _exists(plain):
            return plain
        path = self.folder
        for part in name.replace("\\", "/").split("/"):
            fitting = self._listing(path).get(same(part).casefold(), [])
            if _exists(path / part):
                path = path / part
            elif len(fitting) == 1:
                path = fitting[0]
            else:
                return plain
        return path

    def leaves(self, path: Path) -> bool:
        """Whether links lead from a path of the folder out of it."""
        return not os.path.realpath(path).startswith(self._root + os.sep)

    def near(self, name: str) -> str:
        """The end of a message for a file that is not there."""
        path = self.folder / name.replace("\\", "/")
        beside = [one.name for several in self._listing(path.parent).values() for one in several]
        return meant(path.name, beside)


def _exists(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):  # too long, or no name of a file at all
        return False


def _by_name(folder: Path) -> Mapping[str, list[Path]]:
    """The files of a folder by what their names have in common with others; none where it is none."""
    paths: dict[str, list[Path]] = defaultdict(list)
    try:
        for path in folder.iterdir():
            paths[same(path.name).casefold()].append(path)
    except (OSError, ValueError):
        pass
    return paths


_LOOKALIKES = str.maketrans("аеһіјӏорԛѕсԁухԝοαρνικτυ01", "aehijlopqscdyxwoapviktuol")
"""Letters of other alphabets, and digits, to the Latin letters that they look like."""


def letters_only(name: str) -> str:
    """What is left of a name that is to look like no other: its letters and digits as they look, in one case."""
    letters = "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())
    return letters.translate(_LOOKALIKES)


def looks_like(name: str, taken: Collection[str]) -> str:
    """The first of some names that a name could be taken for; empty where there is none."""
    own = letters_only(name)
    return next((one for one in taken if letters_only(one) == own), "")

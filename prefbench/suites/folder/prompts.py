"""What methods draw for: `prompts.txt`, one prompt a line, or `prompts.csv|jsonl|parquet` with `prompt` and `user`.

A table may have the columns `content`, the picture to redraw, a path inside the folder, and `category`, the prompt of
judgments that a prompt belongs to which was never judged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd

from prefbench.api import PrefbenchError
from prefbench.files import read_plain
from prefbench.run.columns import check_columns, check_rows, read_columns
from prefbench.suites.folder.pictures import with_digests
from prefbench.suites.folder.table import check_names

FILES = ("prompts.txt", "prompts.csv", "prompts.jsonl", "prompts.parquet")
_COLUMNS = ("prompt", "user", "content", "category")

T = TypeVar("T")


class Redrawn(NamedTuple):
    """A picture to redraw."""

    file_name: str
    digest: str


class Asked(NamedTuple):
    """One thing to draw."""

    prompt: str
    content: Redrawn | None
    category: str


@dataclass(frozen=True)
class Prompts:
    """What there is to draw.

    Attributes:
        by_user: prompts by user, those of everybody under the empty name; None where there is no file of prompts.
        contents: by user and prompt the picture to redraw; only of prompts that have one.
        categories: by user and prompt what judgments call it; only of prompts that have one.
    """

    by_user: Mapping[str, tuple[str, ...]] | None = None
    contents: Mapping[tuple[str, str], Redrawn] = field(default_factory=dict)
    categories: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def of(self, user: str) -> list[Asked]:
        """The prompts of a user, each with its picture to redraw and its category, where there are any."""
        return self._of(user) if user in (self.by_user or {}) else self._everybodys

    @cached_property
    def _everybodys(self) -> list[Asked]:
        return self._of("")

    def _of(self, user: str) -> list[Asked]:
        by_user = self.by_user or {}
        own = dict.fromkeys([*by_user.get("", ()), *by_user.get(user, ())])
        return [Asked(one, _for(self.contents, user, one), _for(self.categories, user, one) or "") for one in own]


def _for(values: Mapping[tuple[str, str], T], user: str, prompt: str) -> T | None:
    """The value of a user's prompt, else of everybody's."""
    return values.get((user, prompt)) or values.get(("", prompt))


def read_prompts(folder: Path, judged: Collection[str]) -> Prompts:
    """Reads what there is to draw. A prompt that is there twice for a user counts once.

    Args:
        folder: with the file of prompts, where it has one.
        judged: prompts of judgments.

    Raises:
        PrefbenchError: there are two files, one cannot be read, has no column `prompt`, an empty prompt or none; or a
            picture to redraw is not there or cannot be read, or differs between two rows of one prompt, as a category
            may not either; or a category is no prompt of judgments.
    """
    files = [folder / name for name in FILES if (folder / name).exists()]
    if not files:
        return Prompts()
    if len(files) > 1:
        raise PrefbenchError(f"{folder} has {' and '.join(path.name for path in files)}: keep one of them")
    table = _lines(files[0]) if files[0].suffix == ".txt" else _table(files[0])
    if table.empty:
        raise PrefbenchError(f"{files[0]} holds no prompt")
    by_user = {str(user): tuple(dict.fromkeys(own)) for user, own in table.groupby("user", sort=False)["prompt"]}
    return Prompts(by_user, _contents(folder, files[0], table), _categories(files[0], table, judged))


def _categories(path: Path, table: pd.DataFrame, judged: Collection[str]) -> dict[tuple[str, str], str]:
    _check_once(path, table, "category")
    rows = table[table["category"] != ""]
    strange = ~rows["category"].isin(judged)
    check_rows(path, strange, rows["category"], "category is a prompt that judgments have")
    return dict(zip(zip(rows["user"], rows["prompt"], strict=True), rows["category"], strict=True))


def _check_once(path: Path, table: pd.DataFrame, column: str) -> None:
    """Raises `PrefbenchError` for a prompt with two values: one for everybody is every user's, wherever it stands."""
    everybodys = {*table["prompt"][table["user"] == ""]}
    owner = table["user"].where(~table["prompt"].isin(everybodys), "") + "\0" + table["prompt"]
    twice = table[column].groupby(owner).transform("nunique") > 1
    check_rows(path, twice, table["prompt"], f"a prompt has one {column}, and this one has others in other rows")


def _contents(folder: Path, path: Path, table: pd.DataFrame) -> dict[tuple[str, str], Redrawn]:
    rows = table[table["content"] != ""]
    if rows.empty:
        return {}
    names = rows["content"]
    check_names(path, names, "content")
    index = with_digests(folder, list(dict.fromkeys(names)), {})
    faults = names.map(index["fault"])
    check_rows(path, faults != "", names + " (" + faults + ")", "the picture to redraw cannot be read")
    _check_once(path, table, "content")
    digests = names.map(index["digest"])
    keys = zip(rows["user"], rows["prompt"], strict=True)
    return {key: Redrawn(name, digest) for key, name, digest in zip(keys, names, digests, strict=True)}


def _lines(path: Path) -> pd.DataFrame:
    try:
        lines = read_plain(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PrefbenchError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    prompts = [line.strip() for line in lines if line.strip()]
    return pd.DataFrame({"prompt": prompts, "user": "", "content": "", "category": ""}, dtype="str")


def _table(path: Path) -> pd.DataFrame:
    columns = read_columns(path, _COLUMNS)
    if "prompt" not in columns:
        raise PrefbenchError(f"{path} has no column 'prompt' (columns: {', '.join(map(str, columns)) or 'none'})")
    check_columns(path, columns, _COLUMNS)
    table = columns.reindex(columns=list(_COLUMNS), fill_value="")
    table = pd.DataFrame({name: table[name].str.strip() for name in _COLUMNS})
    check_rows(path, table["prompt"] == "", table["user"], "there is no prompt")
    return table

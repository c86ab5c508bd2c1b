"""A folder of judged pictures as a suite: `--suite FOLDER`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd

from prefbench.api import (
    Case,
    History,
    Judgment,
    Picture,
    PrefbenchError,
    Reference,
    Split,
    Suite,
    SuiteCard,
    User,
    Viewer,
)
from prefbench.api.near import unknown
from prefbench.suites.folder.card import card_of
from prefbench.suites.folder.contents import read_contents, some
from prefbench.suites.folder.encoders import choose
from prefbench.suites.folder.prompts import Asked

PROMPTS_WANTED = "write prompts.txt, one prompt a line, or prompts.csv with the columns prompt and user"


class _Row(NamedTuple):
    """A judgment as the table holds it, with None for what is missing."""

    file_name: str
    digest: str
    prompt: str
    liked: bool
    pair: str | None
    rating: float | None
    comment: str | None
    source: str | None
    part: str | None


class FolderSuite(Suite):
    """People's judgments of pictures in one folder, with the prompts to draw for.

    Args:
        history: the latest judgments of each side that methods see at most; None for all.
        least: likes that methods, and that scorers, must have of a user; users with fewer are left out.
    """

    card: ClassVar[SuiteCard]
    folder: ClassVar[Path]

    def __init__(self, *, history: int | None = None, least: int = 1) -> None:
        if history is not None and history < 1:
            raise PrefbenchError(f"history must be at least 1, got {history}")
        if least < 1:
            raise PrefbenchError(f"least must be at least 1, got {least}")
        self._shown = history
        self._contents = read_contents(self.folder, least)
        self._pictures: dict[str, Picture] = {}

    @cached_property
    def digest(self) -> str:
        """Covers every judgment with the pixels of its picture, its part and place, each prompt, content, category."""
        prompts, contents = self._contents.prompts.by_user, self._contents.prompts.contents
        categories = self._contents.prompts.categories
        columns = ["user", "split", "part", "digest", "liked", "pair", "prompt", "rating", "comment", "source"]
        parts = [json.dumps([self.card.version, self._shown, prompts], sort_keys=True)]
        parts += [json.dumps([*key, content.digest]) for key, content in sorted(contents.items())]
        parts += [json.dumps([*key, "category", name]) for key, name in sorted(categories.items())]
        parts += ["\0".join(map(str, self._contents.rows[name].tolist())) for name in columns]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def users(self, split: Split) -> Sequence[User]:
        return [User(user, split) for user in self._contents.users.get(split, ())]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        rows = self._of(user, viewer)
        sides = [self._judgments([row for row in rows if row.liked == liked], viewer) for liked in (True, False)]
        return History(user, *sides)

    def cases(self, user: str) -> Sequence[Case]:
        prompts = self._contents.prompts
        if prompts.by_user is not None:
            return [
                Case(f"{user}/{n}", user, one.prompt, content=self._redrawn(one), category=one.category)
                for n, one in enumerate(prompts.of(user))
            ]
        judged: dict[str, list[_Row]] = {}
        for row in self._of(user, "scorer"):
            if row.prompt:
                judged.setdefault(row.prompt, []).append(row)
        return [self._judged_case(user, n, prompt, own) for n, (prompt, own) in enumerate(judged.items())]

    def references(self, split: Split) -> Sequence[Reference]:
        members = {*self._contents.users.get(split, ())}
        rows = self._contents.rows
        chosen = rows[rows["user"].isin(members) & (rows["part"] == "scorer") & rows["liked"]]
        chosen = chosen.drop_duplicates(["user", "digest"])
        columns = ["user", "prompt", "file_name", "digest"]
        return [
            Reference(user, prompt, self._picture(name, digest))
            for user, prompt, name, digest in _plain(chosen, columns)
        ]

    def inventory(self) -> Mapping[str, str]:
        prompts = self._contents.prompts
        none = prompts.by_user is None and not (self._contents.rows["prompt"] != "").any()
        nothing = {"prompts": PROMPTS_WANTED} if none else {}
        idle = [user for user in self._contents.places if prompts.by_user is not None and not prompts.of(user)]
        nothing |= {"users without a prompt": some(idle)} if idle else {}
        return {**self._contents.inventory, "extractors": choose().line, **nothing}

    @cached_property
    def _rows(self) -> list[_Row]:
        """The table row by row: a user's few rows are taken from it faster than from a data frame."""
        return [_Row(*values) for values in _plain(self._contents.rows, _Row._fields)]

    def _of(self, user: str, viewer: Viewer) -> list[_Row]:
        if user not in self._contents.places:
            raise PrefbenchError(unknown("user", user, list(self._contents.places)[:5]))
        return [row for row in self._rows[self._contents.places[user]] if row.part == viewer]

    def _judgments(self, rows: Sequence[_Row], viewer: Viewer) -> tuple[Judgment, ...]:
        if viewer == "method" and self._shown is not None:
            rows = rows[-self._shown :]
        return tuple(
            Judgment(
                self._picture(row.file_name, row.digest), row.prompt, row.liked, row.pair or None, row.rating,
                row.comment or None, row.source or None,
            )
            for row in rows
        )  # fmt: skip

    def _judged_case(self, user: str, n: int, prompt: str, rows: Sequence[_Row]) -> Case:
        """A case of a prompt that the user judged, with a liked and a disliked picture where there are both."""
        firsts = [next((row for row in rows if row.liked == liked), None) for liked in (True, False)]
        chosen, rejected = (None if row is None else self._picture(row.file_name, row.digest) for row in firsts)
        return Case(f"{user}/{n}", user, prompt, chosen, rejected)

    def _redrawn(self, asked: Asked) -> Picture | None:
        return self._picture(*asked.content) if asked.content is not None else None

    def _picture(self, name: str, digest: str) -> Picture:
        """One object for a picture, however often it was judged."""
        if name not in self._pictures:
            self._pictures[name] = Picture(digest, path=self.folder / name)
        return self._pictures[name]


def _plain(rows: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values row by row, with None for what is missing."""
    return zip(*(rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in columns), strict=True)


def suite_of(folder: str) -> type[FolderSuite]:
    """The class of a folder, whose card says what is known of it. Raises `PrefbenchError` for a wrong `suite.toml`."""
    path = Path(folder)
    return type("FolderSuite", (FolderSuite,), {"card": card_of(path), "folder": path, "__module__": __name__})

"""A folder of judged pictures as a suite: `--suite FOLDER`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
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
from prefbench.suites.folder.contents import places_of, read_contents, some
from prefbench.suites.folder.encoders import choose
from prefbench.suites.folder.prompts import Asked

PROMPTS_WANTED = "write prompts.txt, one prompt a line, or prompts.csv with the columns prompt and user"


class _Seen(NamedTuple):
    """What one viewer sees of everybody: columns of values, one for each field of `Judgment`, and each user's place."""

    columns: Sequence[Sequence[Any]]
    places: Mapping[str, slice]


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
        self._seen: dict[Viewer, _Seen] = {}

    @cached_property
    def digest(self) -> str:
        """Covers every judgment with the pixels of its picture, its part and place, each prompt, content, category."""
        prompts, contents = self._contents.prompts.by_user, self._contents.prompts.contents
        categories = self._contents.prompts.categories
        columns = ["user", "split", "part", "digest", "liked", "pair", "prompt", "rating", "comment", "source"]
        parts = [json.dumps([self.card.version, self._shown, prompts], sort_keys=True)]
        parts += [json.dumps([*key, content.digest]) for key, content in sorted(contents.items())]
        parts += [json.dumps([*key, "category", name]) for key, name in sorted(categories.items())]
        digest = hashlib.sha256("\n".join(parts).encode())
        for name in columns:
            digest.update(b"\n" + "\0".join(_texts(self._contents.rows[name])).encode())
        return digest.hexdigest()

    def users(self, split: Split) -> Sequence[User]:
        return [User(user, split) for user in self._contents.users.get(split, ())]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        seen, first = self._of(user, viewer), -self._shown if self._shown and viewer == "method" else None
        return History(user, *(tuple([one for one in seen if one.liked == liked][first:]) for liked in (True, False)))

    def cases(self, user: str) -> Sequence[Case]:
        prompts = self._contents.prompts
        if prompts.by_user is not None:
            return [
                Case(f"{user}/{n}", user, one.prompt, content=self._redrawn(one), category=one.category)
                for n, one in enumerate(prompts.of(user))
            ]
        judged: dict[str, list[Judgment]] = {}
        for one in self._of(user, "scorer"):
            if one.prompt:
                judged.setdefault(one.prompt, []).append(one)
        return [_judged_case(user, n, prompt, own) for n, (prompt, own) in enumerate(judged.items())]

    def references(self, split: Split) -> Sequence[Reference]:
        members = {*self._contents.users.get(split, ())}
        rows = self._contents.rows
        chosen = rows[rows["user"].isin(members) & (rows["part"] == "scorer") & rows["liked"]]
        chosen = chosen.drop_duplicates(["user", "digest"])
        columns = ["user", "prompt", "file_name", "digest"]
        return [
            Reference(user, prompt, self._picture(name, digest))
            for user, prompt, name, digest in zip(*_plain(chosen, columns), strict=True)
        ]

    def inventory(self) -> Mapping[str, str]:
        prompts = self._contents.prompts
        none = prompts.by_user is None and not (self._contents.rows["prompt"] != "").any()
        nothing = {"prompts": PROMPTS_WANTED} if none else {}
        idle = [user for user in self._contents.places if prompts.by_user is not None and not prompts.of(user)]
        nothing |= {"users without a prompt": some(idle)} if idle else {}
        return {**self._contents.inventory, "extractors": choose().line, **nothing}

    def _of(self, user: str, viewer: Viewer) -> list[Judgment]:
        if viewer not in self._seen:
            self._seen[viewer] = self._seen_by(viewer)
        columns, places = self._seen[viewer]
        if user not in places:
            raise PrefbenchError(unknown("user", user, list(places)[:5]))
        return list(map(Judgment, *(column[places[user]] for column in columns)))

    def _seen_by(self, viewer: Viewer) -> _Seen:
        """Columns of plain values: a user's few judgments are made from them faster than from a data frame."""
        rows = self._contents.rows[self._contents.rows["part"] == viewer]
        pictures = list(map(self._picture, *_plain(rows, ["file_name", "digest"])))
        words = {name: rows[name].mask(rows[name] == "") for name in ("pair", "comment", "source")}
        others = _plain(rows.assign(**words), ["prompt", "liked", "pair", "rating", "comment", "source"])
        return _Seen([pictures, *others], places_of(rows["user"]))

    def _redrawn(self, asked: Asked) -> Picture | None:
        return self._picture(*asked.content) if asked.content is not None else None

    def _picture(self, name: str, digest: str) -> Picture:
        """One object for a picture, however often it was judged."""
        if name not in self._pictures:
            self._pictures[name] = Picture(digest, path=self.folder / name)
        return self._pictures[name]


def _judged_case(user: str, n: int, prompt: str, judged: Sequence[Judgment]) -> Case:
    """A case of a prompt that the user judged, with a liked and a disliked picture where there are both."""
    chosen, rejected = (next((one.picture for one in judged if one.liked == liked), None) for liked in (True, False))
    return Case(f"{user}/{n}", user, prompt, chosen, rejected)


def _plain(rows: pd.DataFrame, columns: Sequence[str]) -> list[list[Any]]:
    """The values by column, with None for what is missing."""
    return [rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in columns]


def _texts(column: pd.Series[Any]) -> Sequence[str]:
    """The values as Python writes them."""
    if column.dtype.kind in "bf":
        return ["nan" if value != value else str(value) for value in column.tolist()]
    texts: Sequence[str] = column.to_numpy().tolist()
    return texts


def suite_of(folder: str) -> type[FolderSuite]:
    """The class of a folder, whose card says what is known of it. Raises `PrefbenchError` for a wrong `suite.toml`."""
    path = Path(folder)
    return type("FolderSuite", (FolderSuite,), {"card": card_of(path), "folder": path, "__module__": __name__})

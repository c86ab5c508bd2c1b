"""What a folder holds once its judgments are read, checked, and divided between methods and scorers."""

from __future__ import annotations

import difflib
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from prefbench.api import SPLITS, VIEWERS, PrefbenchError, Split, counted
from prefbench.suites.folder.layout import read_layout
from prefbench.suites.folder.likes import kept, with_likes
from prefbench.suites.folder.parts import Parts, with_parts
from prefbench.suites.folder.pictures import with_digests
from prefbench.suites.folder.prompts import Prompts, read_prompts
from prefbench.suites.folder.table import Judged, find_table, read_table

_LOG = logging.getLogger(__name__)
_NAMED = 5
"""Users and files that a line names; the others are counted."""


@dataclass(frozen=True)
class Contents:
    """The judgments that count.

    Attributes:
        rows: one per judgment, those of a user together, in the order of time or else of the table.
        users: ids by split, in the order of the table.
        places: the rows of each user.
        prompts: what there is to draw.
        inventory: as `Suite.inventory`.
    """

    rows: pd.DataFrame
    users: Mapping[Split, tuple[str, ...]]
    places: Mapping[str, slice]
    prompts: Prompts
    inventory: Mapping[str, str]


def read_contents(folder: Path, least: int) -> Contents:
    """Reads a folder.

    Args:
        folder: with a table of judgments or folders of likes and dislikes.
        least: likes that a user must have in each part.

    Raises:
        PrefbenchError: in one line, what cannot be read or contradicts itself; or no user has enough likes.
    """
    table = find_table(folder)
    judged = read_layout(folder) if table is None else read_table(table)
    prompts = read_prompts(folder, {*judged.rows["prompt"].unique()} - {""})
    _check_users(folder, prompts.by_user or {}, judged.rows["user"])
    left_out: Counter[str] = Counter()
    rows, faults = _readable(folder, judged.rows)
    unreadable = [f"{name} ({why})" for name, why in faults.items()]
    if rows.empty:
        raise PrefbenchError(f"{folder}: no picture can be read; unreadable: {some(unreadable)}")
    left_out["of pictures that cannot be read"] = len(judged.rows) - len(rows)
    _tell_unreadable(folder, judged.rows, faults)
    rows = _not_redrawn(rows, prompts, left_out)
    rows = with_likes(rows, left_out, judged.source)
    if rows.empty:
        raise PrefbenchError(f"{folder}: no judgment is left; {'; '.join(f'{n} {why}' for why, n in left_out.items())}")
    parts = with_parts(rows, _held_out(prompts), judged.source)
    left_out["of pairs that fell apart into both parts"] = parts.apart
    rows, few = _enough(parts.rows, least)
    if rows.empty:
        raise PrefbenchError(_too_few(folder, judged, few, least, unreadable))
    rows = _ordered(rows)
    lost = [f"{counted(n, 'judgment')} {reason}" for reason, n in left_out.items() if n]
    lines = {
        "data": _data_line(judged, rows),
        "parts": _parts_line(rows, parts),
        "unreadable": some(unreadable),
        "judgments left out": "; ".join(lost),
        "users left out": f"{some(few)}: under {counted(least, 'like')} in a part" if few else "",
        "not used": some(judged.unused),
    }
    inventory = {name: line for name, line in lines.items() if line}
    return Contents(rows, _users(rows), places_of(rows["user"]), prompts, inventory)


def _readable(folder: Path, rows: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """The rows whose pictures can be read, with their digests; and what is wrong with the other pictures, by name."""
    claimed = rows[rows["digest"] != ""].drop_duplicates("file_name")
    files, users = _coded(rows["file_name"]), _coded(rows["user"])
    index = with_digests(
        folder, files.categories.tolist(), dict(zip(claimed["file_name"], claimed["digest"], strict=True))
    )
    unreadable = index[index["fault"] != ""]["fault"]
    rows = rows.assign(user=users, file_name=files, digest=index["digest"].astype("category").array.take(files.codes))
    return kept(rows, rows["digest"] != ""), {str(name): str(why) for name, why in unreadable.items()}


def _coded(column: pd.Series[str]) -> pd.Categorical:
    """The column as numbers of its values, which are far fewer: quicker to compare, sort and copy than long texts."""
    codes, values = pd.factorize(column)
    return pd.Categorical.from_codes(codes, values)


def _tell_unreadable(folder: Path, rows: pd.DataFrame, faults: Mapping[str, str]) -> None:
    """One line, once, on how many judgments are left out for pictures that cannot be read, and why."""
    kinds = {name: re.split(" [(]|:", why)[0] for name, why in faults.items()}
    why = Counter(rows["file_name"][rows["file_name"].isin(kinds)].map(kinds))
    if n := why.total():
        reasons = ", ".join(f"{kind}: {count:,}" for kind, count in why.most_common())
        of = f"{n:,} of {counted(len(rows), 'judgment')}"
        _warn_once(
            f"{folder}: {of} left out, whose pictures cannot be read ({reasons}); prefbench check suite names them"
        )


@cache
def _warn_once(line: str) -> None:
    """A command loads a suite several times."""
    _LOG.warning("%s", line)


def _not_redrawn(rows: pd.DataFrame, prompts: Prompts, left_out: Counter[str]) -> pd.DataFrame:
    """The rows without those of pictures to redraw: nobody's judgment of them may be known to a method or scorer."""
    redrawn = rows["digest"].isin({content.digest for content in prompts.contents.values()})
    left_out["of pictures to redraw"] = int(redrawn.sum())
    return kept(rows, ~redrawn)


def _check_users(folder: Path, prompts: Mapping[str, tuple[str, ...]], users: pd.Series[str]) -> None:
    """Raises `PrefbenchError` for prompts of somebody who judged nothing: a name that is written in two ways."""
    known = dict.fromkeys(users.unique())
    for user in prompts:
        if user and user not in known:
            near = difflib.get_close_matches(user, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise PrefbenchError(f"{folder}: a prompt is for {user!r}, of whom there is no judgment{hint}")


def _held_out(prompts: Prompts) -> frozenset[str]:
    return frozenset(prompt for own in (prompts.by_user or {}).values() for prompt in own)


def _enough(rows: pd.DataFrame, least: int) -> tuple[pd.DataFrame, list[str]]:
    """The rows of users with enough likes in either part, and the other users."""
    likes = rows[["user", "part"]][rows["liked"]].groupby(["user", "part"]).size().unstack(fill_value=0)
    likes = likes.reindex(index=list(rows["user"].unique()), columns=list(VIEWERS), fill_value=0)
    few = list(likes.index[(likes < least).any(axis=1)])
    return kept(rows, ~rows["user"].isin(few)), few


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each user together, in the order of time."""
    codes = pd.factorize(rows["user"])[0]
    order = np.lexsort((rows.index, rows["time"].fillna(-np.inf), codes))
    return rows.iloc[order].assign(split=lambda ordered: ordered["split"].where(ordered["split"] != "", "test"))


def _users(rows: pd.DataFrame) -> dict[Split, tuple[str, ...]]:
    first = rows.drop_duplicates("user")
    return {split: tuple(first["user"][first["split"] == split]) for split in SPLITS}


def places_of(column: pd.Series[str]) -> dict[str, slice]:
    """Where the rows of each user are, which stand together."""
    codes, users = pd.factorize(column)
    bounds = np.searchsorted(codes, np.arange(len(users) + 1))
    return {str(user): slice(int(a), int(b)) for user, (a, b) in zip(users, pairwise(bounds), strict=True)}


def _data_line(judged: Judged, rows: pd.DataFrame) -> str:
    used, pictures = rows["user"].nunique(), rows["digest"].nunique()
    of = judged.rows["user"].nunique()
    return (
        f"{used:,} of {counted(of, 'user')}, {counted(pictures, 'picture')}, "
        f"{len(rows):,} of {counted(len(judged.rows), 'judgment')} of {judged.source.name}"
    )


def _parts_line(rows: pd.DataFrame, parts: Parts) -> str:
    shares = [f"{(rows['part'] == viewer).sum():,} judgments that {viewer}s alone see" for viewer in VIEWERS]
    return f"{', '.join(shares)}; no {' and no '.join(['picture', *parts.chained])} in both"


def some(names: Sequence[str]) -> str:
    """The first of some users or files, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _too_few(folder: Path, judged: Judged, few: Sequence[str], least: int, unreadable: Sequence[str]) -> str:
    why = f"; unreadable: {some(unreadable)}" if unreadable else ""
    who = f" ({some(few)})" if few else ""
    return (
        f"{folder}: none of {counted(judged.rows['user'].nunique(), 'user')}{who} has "
        f"{counted(least, 'like')} that methods see and {least} that only scorers see{why}"
    )

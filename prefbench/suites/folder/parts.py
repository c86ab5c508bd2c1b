"""Which judgments methods see and which scorers alone see: no picture in both parts, no prompt where there are prompts.

Pictures that are judged together, in a pair or for one prompt, go to one part, with all pictures that they chain to.
Where one chain holds over a quarter of all judgments, as when everybody judges the same pairs, prompts are let go
first; then the chain is cut where few pairs cross, and those that do are used by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_matrix
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from prefbench.run.columns import check_rows
from prefbench.suites.folder.likes import kept

_LARGEST = 0.25
"""The share of all judgments that one chain may hold."""
_CHAINS = (("digest", "pair", "prompt"), ("digest", "pair"))
_PIECES = 8
"""Into how many pieces a chain is cut that is too large for one part."""
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """The judgments with their `part`, and what was let go to have two parts.

    Attributes:
        rows: with `part` either of the two viewers in each.
        apart: judgments of pairs whose pictures fell apart; nobody sees them.
        chained: what else goes to one part together: `pair`, `prompt`.
    """

    rows: pd.DataFrame
    apart: int
    chained: tuple[str, ...]


def with_parts(rows: pd.DataFrame, held_out: frozenset[str], source: Path) -> Parts:
    """Divides the judgments; where the table names parts, by the table.

    Args:
        rows: with `user`, `digest` (its categories sorted), `pair`, `prompt`, `liked`, `part`.
        held_out: prompts that methods draw for: judgments of them are the scorers'.
        source: what errors name.

    Raises:
        PrefbenchError: the table names a part for some judgments alone, or for a picture or held-out prompt both.
    """
    if (rows["part"] != "").any():
        _check_given(rows, held_out, source)
        return Parts(rows, 0, ())
    for links in _CHAINS:
        units = _units(rows, links)
        if np.bincount(units).max() <= _LARGEST * len(rows):
            break
    units = _cut(rows, units)
    rows = rows.assign(part=np.where(_for_scorers(rows, units, held_out), "scorer", "method"))
    paired = rows.loc[rows["pair"] != "", ["user", "pair", "part"]]
    halves = paired.index[paired.groupby(["user", "pair"])["part"].transform("nunique") > 1]
    return Parts(kept(rows, pd.Series(~rows.index.isin(halves), rows.index)), len(halves), links[1:])


def _check_given(rows: pd.DataFrame, held_out: frozenset[str], source: Path) -> None:
    check_rows(source, rows["part"] == "", rows["digest"], "part is given for other rows and not for this one")
    both = rows.groupby("digest")["part"].transform("nunique") > 1
    check_rows(source, both, rows["file_name"], "the picture is in the part of methods and in that of scorers")
    leaks = (rows["part"] == "method") & rows["prompt"].isin(held_out)
    check_rows(source, leaks, rows["prompt"], "methods see a judgment for a prompt that they draw for")


def _units(rows: pd.DataFrame, links: tuple[str, ...]) -> Codes:
    """The number of the unit of each row: rows that share a picture, and a pair or prompt where these are linked."""
    labels: Codes = np.arange(len(rows), dtype=np.int64)
    edges, size = [], len(rows)
    for name in links:
        given = np.flatnonzero((rows[name] != "").to_numpy())
        values = rows[name].iloc[given]
        codes, _ = pd.factorize(rows["user"].iloc[given].astype(str) + "\0" + values if name == "pair" else values)
        edges.append((given, codes + size))
        size += int(codes.max(initial=-1)) + 1
    first, second = (np.concatenate(side) for side in zip(*edges, strict=True))
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][: len(rows)].astype(np.int64)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _cut(rows: pd.DataFrame, units: Codes) -> Codes:
    """The units, with those that are too large in pieces of about equal size: runs of their pictures in an order in
    which pictures that were compared stand near each other (Cuthill and McKee 1969).
    """
    large = np.flatnonzero(np.bincount(units) > _LARGEST * len(rows))
    for unit in large:
        members = np.flatnonzero(units == unit)
        pictures, names = pd.factorize(rows["digest"].iloc[members])
        place = _order(rows.iloc[members], pictures, len(names))[pictures]
        before = np.cumsum(np.bincount(place)) - 1
        piece = before[place] * _PIECES // len(members)
        units = units.copy()
        units[members[piece > 0]] = units.max() + piece[piece > 0]
    return np.unique(units, return_inverse=True)[1].astype(np.int64)


def _order(rows: pd.DataFrame, pictures: Codes, n: int) -> Codes:
    """The place of each picture in an order that keeps the two of a pair together."""
    paired = pd.DataFrame({"user": rows["user"], "pair": rows["pair"], "picture": pictures})[rows["pair"] != ""]
    groups = paired.groupby(["user", "pair"])["picture"]
    first, second = groups.transform("first").to_numpy(), groups.transform("last").to_numpy()
    ends = np.concatenate([first, second]), np.concatenate([second, first])
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int32), ends), shape=(n, n)).tocsr()
    place = np.empty(n, dtype=np.int64)
    place[reverse_cuthill_mckee(csr_matrix(graph), symmetric_mode=True)] = np.arange(n)
    return place


def _for_scorers(rows: pd.DataFrame, units: Codes, held_out: frozenset[str]) -> NDArray[np.bool_]:
    """Whether each row is the scorers': as nearly half of every user's likes and dislikes as the units allow."""
    side = pd.factorize(rows["user"])[0] * 2 + rows["liked"].to_numpy()
    digests = rows["digest"].cat
    first = pd.Series(digests.categories[digests.codes.groupby(units).min().to_numpy()])
    scorers = np.zeros(len(first), dtype=bool)
    forced = np.zeros(len(first), dtype=bool)
    forced[np.unique(units[rows["prompt"].isin(held_out).to_numpy()])] = True
    scorers[forced] = True
    balance = np.zeros(2 * (side.max() // 2 + 1))
    np.add.at(balance, side, np.where(forced[units], 1.0, 0.0))
    users = pd.Series(side // 2).groupby(units)
    shared = (users.min() != users.max()).to_numpy()
    for unit, sides, counts in _entries(units, side, np.flatnonzero(shared & ~forced), first):
        scorers[unit] = balance[sides] @ counts < 0  # so that the sum of squares grows less
        balance[sides] += counts if scorers[unit] else -counts
    single = ~shared & ~forced
    if single.any():
        rest = single[units]
        numbers = np.cumsum(single) - 1
        ahead = balance.reshape(-1, 2).sum(axis=1)
        scorers[single] = _by_turns(numbers[units[rest]], side[rest], first[single].reset_index(drop=True), ahead)
    return scorers[units]


def _entries(units: Codes, side: Codes, chosen: Codes, first: pd.Series[str]) -> Iterator[tuple[int, Codes, Codes]]:
    """Unit, sides of users in it, judgments of each: the largest units first, then by the digest."""
    inside, n = np.isin(units, chosen), int(side.max()) + 1
    keys, counts = np.unique(units[inside] * n + side[inside], return_counts=True)
    numbers, sides = np.divmod(keys, n)
    bounds = np.flatnonzero(np.diff(numbers, prepend=-1, append=-1))
    slices = {int(numbers[a]): slice(a, b) for a, b in pairwise(bounds)}
    sizes = np.bincount(units)
    digests = first.tolist()
    for unit in sorted(slices, key=lambda unit: (-sizes[unit], digests[unit])):
        yield unit, sides[slices[unit]], counts[slices[unit]]


def _by_turns(units: Codes, side: Codes, first: pd.Series[str], ahead: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether units of one user each are the scorers', by turns: those of one make after another, so both sides halve.

    `ahead` is by how many judgments of each user the scorers' part is larger already.
    """
    rows = pd.DataFrame({"unit": units, "user": side // 2, "likes": side % 2, "n": 1})
    table = rows.groupby("unit").agg(user=("user", "first"), likes=("likes", "sum"), n=("n", "sum"))
    table = table.assign(digest=first).sort_values(["user", "likes", "n", "digest"])
    users = table["user"].to_numpy()
    share = np.clip((1 - ahead / np.maximum(np.bincount(rows["user"], minlength=len(ahead)), 1)) / 2, 0, 1)[users]
    turn = table.groupby("user").cumcount().to_numpy()
    scorers = np.zeros(len(first), dtype=bool)
    scorers[table.index.to_numpy()] = np.floor((turn + 1) * share) > np.floor(turn * share)
    return scorers

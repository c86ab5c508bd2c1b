"""What a history says of its user as comparisons: a liked picture beside a disliked one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import lcm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import History, Judgment, Picture

AVERAGE = -1
"""Stands in the place of a picture for the average one."""
PARTNERS = 8
"""Others that a judgment is compared with at most, about, where nothing says which."""


@dataclass(frozen=True)
class Comparisons:
    """The comparisons of one user.

    Attributes:
        pictures: those that were judged, each once, in the order of their digests.
        better, worse: (C,) indices of the liked and of the disliked picture; either may be `AVERAGE`.
        prompts: (C,) the prompt of both; empty where they differ.
    """

    pictures: Sequence[Picture]
    better: NDArray[np.int64]
    worse: NDArray[np.int64]
    prompts: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.better)


class _Comparison(NamedTuple):
    better: Judgment | None
    worse: Judgment | None


class _Sides(NamedTuple):
    likes: list[Judgment]
    dislikes: list[Judgment]


def comparisons_of(history: History) -> Comparisons:
    """Pairs as they were chosen. What was judged alone: likes with dislikes of the same prompt; where that has no
    other side, with any; where the history has none, with the average picture.

    Who judged pictures alone compared each with all that they remember: a judgment counts as often as it is compared,
    with up to about `PARTNERS` others. On real ratings that predicts better than to count each once.
    """
    judgments = sorted([*history.liked, *history.disliked], key=lambda j: (j.picture.digest, j.prompt, j.pair or ""))
    pictures = {j.picture.digest: j.picture for j in judgments}
    places = {digest: n for n, digest in enumerate(pictures)}
    rows = list(_compared(judgments))
    return Comparisons(
        list(pictures.values()),
        np.array([_place(row.better, places) for row in rows], dtype=np.int64),
        np.array([_place(row.worse, places) for row in rows], dtype=np.int64),
        np.array([_prompt(row) for row in rows], dtype=np.str_),
    )


def _compared(judgments: Sequence[Judgment]) -> Iterator[_Comparison]:
    alone: list[Judgment] = []
    for pair, members in _grouped(judgments, "pair").items():
        both = _Sides(*_divided(members))
        if pair and both.likes and both.dislikes:
            yield from _across(both.likes, both.dislikes)
        else:
            alone += members
    every, rest = _Sides(*_divided(alone)), _Sides([], [])
    for members in _grouped(alone, "prompt").values():
        own = _Sides(*_divided(members))
        if own.likes and own.dislikes:
            yield from _across(own.likes, own.dislikes)
        else:
            rest.likes.extend(own.likes)
            rest.dislikes.extend(own.dislikes)
    if rest.likes or rest.dislikes:
        yield from _across(rest.likes or every.likes, rest.dislikes or every.dislikes)


def _across(likes: Sequence[Judgment], dislikes: Sequence[Judgment]) -> Iterator[_Comparison]:
    """Likes with dislikes, evenly."""
    for a, b in _even(len(likes), len(dislikes)):
        yield _Comparison(likes[a] if likes else None, dislikes[b] if dislikes else None)


def _even(n: int, m: int) -> Iterator[tuple[int, int]]:
    """All combinations of n and m things, or so many of them that each is in about `PARTNERS`; no 0 counts as 1."""
    n, m = max(n, 1), max(m, 1)
    turn = lcm(n, m)
    for step in range(min(n * m, PARTNERS * max(n, m))):
        # Step t pairs t mod n with t mod m; after a turn of lcm(n, m) steps these repeat, and one side moves on.
        yield step % n, (step + step // turn) % m


def _grouped(judgments: Iterable[Judgment], field: str) -> dict[str, list[Judgment]]:
    groups: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        groups[getattr(judgment, field) or ""].append(judgment)
    return dict(sorted(groups.items()))


def _divided(judgments: Iterable[Judgment]) -> tuple[list[Judgment], list[Judgment]]:
    liked: tuple[list[Judgment], list[Judgment]] = ([], [])
    for judgment in judgments:
        liked[0 if judgment.liked else 1].append(judgment)
    return liked


def _place(judgment: Judgment | None, places: dict[str, int]) -> int:
    return AVERAGE if judgment is None else places[judgment.picture.digest]


def _prompt(row: _Comparison) -> str:
    prompts = {judgment.prompt for judgment in row if judgment is not None}
    return prompts.pop() if len(prompts) == 1 else ""

"""What is learned across people, always without those of one fold: the space of pictures and the taste of the others.

People are divided into folds by their ids; a person's fold is left out of everything that is learned for them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Features, FloatArray

from .comparisons import Comparisons
from .taste import PRECISION_OF_OTHERS, Space, fit_taste


class Size(NamedTuple):
    """How much is known."""

    comparisons: int
    people: int


FOLDS = 25
"""Folds of people: of so many people or fewer, each person is a fold of their own."""
EVERYTHING = ""
"""The category of all comparisons together."""
ENOUGH = Size(comparisons=400, people=3)
"""A prompt with so many comparisons of so many others is a category with a model of its own."""
NOBODY = -1
"""The fold that no person is in."""


class Others(NamedTuple):
    """What is known without the people of one fold."""

    space: Space
    taste: FloatArray
    """(K,) of all others together."""


@dataclass(frozen=True)
class _Rows:
    """The comparisons of all people in one category."""

    better: NDArray[np.int64]
    worse: NDArray[np.int64]
    folds: NDArray[np.int64]
    """(C,) the fold of each comparison's person."""


class People:
    """Learns from the comparisons of many people.

    Args:
        comparisons: of each person.
        features: (P, D) unit vectors of all their pictures.
        places: the row of each picture in `features` by its digest.
    """

    def __init__(self, comparisons: Mapping[str, Comparisons], features: Features, places: Mapping[str, int]) -> None:
        self._comparisons, self._features, self._places = comparisons, features, places
        self._folds = folds_of(list(comparisons))
        self._sizes = _sizes(comparisons, self._folds)
        self._pictures, self._judges = _judges(comparisons, places, self._folds)
        self._rows: dict[str, _Rows] = {}
        self._spaces: dict[bytes, Space] = {}
        self._others: dict[tuple[str, int], Others | None] = {}

    def category(self, prompt: str, person: str) -> str:
        """A prompt's category, by the judgments of the others: itself where there are enough, else `EVERYTHING`."""
        own = self._folds.get(person, NOBODY)
        others = [size for fold, size in self._sizes.get(prompt, {}).items() if fold != own]
        enough = (
            sum(size.comparisons for size in others) >= ENOUGH.comparisons
            and sum(size.people for size in others) >= ENOUGH.people
        )
        return prompt if enough else EVERYTHING

    def without(self, person: str, category: str) -> Others | None:
        """What is known of a category without a person, who need not be one of these; None where nothing is."""
        key = category, self._folds.get(person, NOBODY)
        if key not in self._others:
            self._others[key] = self._learned(*key)
        return self._others[key]

    def _learned(self, category: str, fold: int) -> Others | None:
        rows = self._rows_of(category)
        used = rows.folds != fold
        judged = self._judged(category, fold)
        if not len(judged):
            return None
        space = self._space(judged)
        differences = space.differences(rows.better[used], rows.worse[used], self._features)
        nothing = np.zeros(len(space.axes))
        taste = fit_taste(differences, mean=nothing, precision=PRECISION_OF_OTHERS)
        return Others(space, taste)

    def _judged(self, category: str, fold: int) -> NDArray[np.int64]:
        """The pictures that people of other folds judged in a category, each once."""
        if category == EVERYTHING:
            return np.unique(self._pictures[self._judges != fold])
        rows = self._rows_of(category)
        used = rows.folds != fold
        pictures = np.unique(np.concatenate([rows.better[used], rows.worse[used]]))
        return pictures[pictures >= 0]

    def _rows_of(self, category: str) -> _Rows:
        if category not in self._rows:
            self._rows[category] = _rows_of(category, self._comparisons, self._places, self._folds)
        return self._rows[category]

    def _space(self, pictures: NDArray[np.int64]) -> Space:
        """The space of some pictures; often all folds leave the same ones."""
        key = hashlib.sha256(pictures.tobytes()).digest()
        if key not in self._spaces:
            self._spaces[key] = Space.of(self._features[pictures])
        return self._spaces[key]


def folds_of(people: Sequence[str]) -> dict[str, int]:
    """The fold of each person, by ids alone, whatever their order: folds differ by one person at most."""
    ranked = sorted(people, key=lambda person: (hashlib.sha256(person.encode()).digest(), person))
    return {person: rank % FOLDS for rank, person in enumerate(ranked)}


def _sizes(comparisons: Mapping[str, Comparisons], folds: Mapping[str, int]) -> dict[str, dict[int, Size]]:
    """For each prompt how many comparisons of how many people each fold has."""
    sizes: dict[str, dict[int, Size]] = {}
    for person, one in comparisons.items():
        for prompt, n in Counter(one.prompts.tolist()).items():
            own = sizes.setdefault(prompt, {})
            before = own.get(folds[person], Size(0, 0))
            own[folds[person]] = Size(before.comparisons + n, before.people + 1)
    return sizes


def _judges(
    comparisons: Mapping[str, Comparisons], places: Mapping[str, int], folds: Mapping[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each judged picture with the fold of who judged it."""
    own = {person: [places[p.digest] for p in one.pictures] for person, one in sorted(comparisons.items())}
    judges = [np.full(len(pictures), folds[person]) for person, pictures in own.items()]
    return _joined([np.array(pictures, dtype=np.int64) for pictures in own.values()]), _joined(judges)


def _rows_of(
    category: str, comparisons: Mapping[str, Comparisons], places: Mapping[str, int], folds: Mapping[str, int]
) -> _Rows:
    better, worse, owners = [], [], []
    for person, one in sorted(comparisons.items()):
        rows = np.ones(len(one), dtype=bool) if category == EVERYTHING else one.prompts == category
        # One place more, for the average picture, whose index is -1.
        index = np.array([*(places[p.digest] for p in one.pictures), -1], dtype=np.int64)
        better.append(index[one.better[rows]])
        worse.append(index[one.worse[rows]])
        owners.append(np.full(int(rows.sum()), folds[person]))
    return _Rows(_joined(better), _joined(worse), _joined(owners))


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

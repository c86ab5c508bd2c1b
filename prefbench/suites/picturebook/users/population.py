"""The users of picturebook: who they are, what they like, what they have judged. Everything follows from one seed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from prefbench.api import SPLITS, Split, Viewer
from prefbench.suites.picturebook.users.choices import judge_four
from prefbench.suites.picturebook.users.taste import KINDS, SHARPNESS, Taste, TasteSpec, UserKind, sample_spec
from prefbench.suites.picturebook.world.axes import (
    AXES,
    STYLE_NAMES,
    Content,
    IntArray,
    Scene,
    held_out_contents,
    sample_styles,
    training_contents,
)

SEED = 2026
SPLIT_SIZES: Mapping[Split, int] = {"train": 1000, "scorer": 300, "val": 100, "test": 100}
MAX_HISTORY = 16
"""Judgments per side that methods may see at most; the suite shows the first eight unless asked otherwise."""
SCORER_HISTORY = 20
"""Judgments per side that only scorers and references see."""
CASES = 5
_SPARSE_LIKES = 2
_VALUES = max(len(axis) for axis in AXES)
_STYLE_AXES = np.arange(len(AXES) - len(STYLE_NAMES), len(AXES))
_STREAMS = {"taste": 0, "method": 1, "scorer": 2, "cases": 3}


@dataclass(frozen=True)
class JudgedScene:
    """A scene that a user judged, with the seed it is rendered from."""

    scene: Scene
    seed: int


@dataclass(frozen=True)
class Judged:
    """The liked and the disliked scenes that one viewer sees of a user, index-aligned."""

    liked: tuple[JudgedScene, ...]
    disliked: tuple[JudgedScene, ...]


@dataclass(frozen=True)
class SimulatedUser:
    """A user with a known taste."""

    id: str
    split: Split
    index: int
    spec: TasteSpec

    @property
    def kind(self) -> UserKind:
        return self.spec.kind

    @cached_property
    def taste(self) -> Taste:
        return Taste.of(self.spec)

    @lru_cache(maxsize=4096)  # noqa: B019 - users live as long as the process
    def judged(self, viewer: Viewer) -> Judged:
        """All judgments for one viewer. Methods see only two likes of a sparse user."""
        rng = _stream(self.split, self.index, viewer)
        n = MAX_HISTORY if viewer == "method" else SCORER_HISTORY
        pairs = [self._judge(viewer, rng) for _ in range(n)]
        liked, disliked = (tuple(side) for side in zip(*pairs, strict=True))
        if self.kind == "sparse" and viewer == "method":
            return Judged(liked[:_SPARSE_LIKES], ())
        return Judged(liked, disliked)

    def _judge(self, viewer: Viewer, rng: np.random.Generator) -> tuple[JudgedScene, JudgedScene]:
        contents = training_contents()
        content = contents[int(rng.integers(len(contents)))]
        styles = _candidates(content, f"{self.split}/{viewer}", rng)
        liked, disliked = judge_four(self.taste.of_styles(styles), SHARPNESS[self.kind], rng)
        return _judged(content, styles[liked], rng), _judged(content, styles[disliked], rng)

    def prompts(self) -> Sequence[Content]:
        """The contents of this user's cases: a fixed number from the split's shared pool, balanced over users."""
        pool = case_contents(self.split)
        n = min(CASES, len(pool))
        rng = _stream(self.split, self.index, "cases")
        return [pool[int(i)] for i in sorted(rng.choice(len(pool), size=n, replace=False))]


def case_contents(split: Split) -> Sequence[Content]:
    """The pool of contents that a split's cases draw from. Only val and test have held-out contents."""
    test, val = held_out_contents()
    return {"test": test, "val": val}.get(split, training_contents())


@lru_cache(maxsize=8)
def population(split: Split) -> tuple[SimulatedUser, ...]:
    """All users of a split; kinds in their stated shares, in a fixed shuffled order."""
    n = SPLIT_SIZES[split]
    kinds: list[UserKind] = [kind for kind, share in KINDS.items() for _ in range(round(share * n))]
    rng = np.random.default_rng([SEED, SPLITS.index(split)])
    order = rng.permutation(len(kinds))
    return tuple(_user(split, i, kinds[int(k)]) for i, k in enumerate(order))


def _user(split: Split, index: int, kind: UserKind) -> SimulatedUser:
    spec = sample_spec(_stream(split, index, "taste"), kind)
    return SimulatedUser(f"{split}-{index:04d}", split, index, spec)


def _stream(split: Split, index: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([SEED, SPLITS.index(split), index, 1 + _STREAMS[purpose]])


def _candidates(content: Content, owner: str, rng: np.random.Generator) -> IntArray:
    """Four styles (4, style axes) for one content, drawn uniformly from those whose scene is the `owner`'s."""
    styles = np.empty((0, len(STYLE_NAMES)), dtype=np.int64)
    while len(styles) < 4:
        drawn = sample_styles(rng, 64, uniform=STYLE_NAMES)
        styles = np.concatenate([styles, drawn[_is_owned(content, drawn, owner)]])
    return styles[:4]


_OWNERS = (
    *("train/method",) * 8,
    *("train/scorer",) * 2,
    *("scorer/method",) * 3,
    *("scorer/scorer",) * 3,
    *("val/method",) * 2,
    *("val/scorer",) * 2,
    *("test/method",) * 2,
    *("test/scorer",) * 2,
)
"""The split and viewer whose judgments may show a scene, by the CRC-32 of its indices, so that no two share one."""


def _is_owned(content: Content, styles: IntArray, owner: str) -> NDArray[np.bool_]:
    """Which of the scenes of these styles (N, style axes) may be shown by an owner's judgments, (N,).

    CRC-32 is linear over GF(2): that of a scene is the sum of what each index alone changes in it.
    """
    none, changes = _crc_changes()
    of_content = none ^ changes[0, content.object] ^ changes[1, content.setting]
    crc = of_content ^ np.bitwise_xor.reduce(changes[_STYLE_AXES, styles], axis=1)
    owned: NDArray[np.bool_] = _shares(owner)[crc % len(_OWNERS)]
    return owned


@cache
def _shares(owner: str) -> NDArray[np.bool_]:
    return np.array([one == owner for one in _OWNERS])


@cache
def _crc_changes() -> tuple[np.uint32, NDArray[np.uint32]]:
    """The CRC-32 of a scene of zeros, and (axes, values) how it changes where one axis has another value."""
    zeros = bytes(len(AXES))
    none = zlib.crc32(zeros)
    units = [[zeros[:i] + bytes([value]) + zeros[i + 1 :] for value in range(_VALUES)] for i in range(len(AXES))]
    return np.uint32(none), np.array([[zlib.crc32(unit) ^ none for unit in row] for row in units], dtype=np.uint32)


def _judged(content: Content, style: IntArray, rng: np.random.Generator) -> JudgedScene:
    return JudgedScene(content.scene(style.tolist()), int(rng.integers(2**31)))

"""The users of picturebook: who they are, what they like, what they have judged. Everything follows from one seed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from prefbench.api import SPLITS, Split, Viewer
from prefbench.suites.picturebook.users.choices import judge_four
from prefbench.suites.picturebook.users.taste import KINDS, SHARPNESS, Taste, TasteSpec, UserKind, sample_spec
from prefbench.suites.picturebook.world.axes import (
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
        scenes = _candidates(content, f"{self.split}/{viewer}", rng)
        styles = np.array([scene.style for scene in scenes])
        liked, disliked = judge_four(self.taste.of_styles(styles), SHARPNESS[self.kind], rng)
        return _judged(scenes[liked], rng), _judged(scenes[disliked], rng)

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


def _candidates(content: Content, owner: str, rng: np.random.Generator) -> list[Scene]:
    """Four scenes of one content with uniform styles, all from the share of scenes that belongs to `owner`."""
    scenes: list[Scene] = []
    while len(scenes) < 4:
        batch: IntArray = sample_styles(rng, 64, uniform=STYLE_NAMES)
        rows = ((content.object, content.setting, *style) for style in batch.tolist())
        scenes += [Scene(row) for row in rows if scene_owner(row) == owner]
    return scenes[:4]


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


def scene_owner(indices: tuple[int, ...]) -> str:
    """The split and viewer whose judgments may show the scene of these indices, so that no two ever share a scene."""
    return _OWNERS[zlib.crc32(bytes(indices)) % len(_OWNERS)]


def _judged(scene: Scene, rng: np.random.Generator) -> JudgedScene:
    return JudgedScene(scene, int(rng.integers(2**31)))

"""The users of picturebook: who they are, what they like, what they have judged. Everything follows from one seed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import SPLITS, FloatArray, Pixels, Split, Viewer
from prefbench.suites.picturebook.data.drawn import DrawnPicture, drawn_pictures
from prefbench.suites.picturebook.users.cases import balanced_places, case_prompts
from prefbench.suites.picturebook.users.choices import DISLIKED_RATINGS, LIKED_RATINGS, judge_four, rate
from prefbench.suites.picturebook.users.quality import CARE, sample_defects, severity
from prefbench.suites.picturebook.users.sampling import sample_shifted_spec, sample_spec
from prefbench.suites.picturebook.users.taste import Taste, TasteSpec
from prefbench.suites.picturebook.users.worlds import FIRST, Form, UserKind, World
from prefbench.suites.picturebook.world.axes import (
    AXES,
    STYLE_NAMES,
    Content,
    IntArray,
    Scene,
    sample_uniform,
    training_contents,
)
from prefbench.suites.picturebook.world.defects import spoil
from prefbench.suites.picturebook.world.prompts import Prompt
from prefbench.suites.picturebook.world.render import render

SEED = 2026
SPLIT_SIZES: Mapping[Split, int] = {"train": 1000, "scorer": 300, "val": 100, "test": 100, "shifted": 100}
MAX_HISTORY = 16
"""Judgments per side that methods may see at most; the suite shows the first eight unless asked otherwise."""
SCORER_HISTORY = 20
"""Judgments per side that only scorers and references see."""
CASES = 5
_SPARSE_LIKES = 2
_VALUES = max(len(axis) for axis in AXES)
_STYLE_PLACES = np.arange(len(AXES) - len(STYLE_NAMES), len(AXES))[:, None] * _VALUES
"""Where the changes of each style axis begin among those of all axes."""
_STREAMS = {"taste": 0, "method": 1, "scorer": 2, "cases": 3, "form": 4, "care": 5}
PRESENT = np.clip((np.arange(MAX_HISTORY) - 8) / 4, 0, 1)
"""Of a drifting user's judgments, oldest first: the share of the present taste, beside the former one."""


@dataclass(frozen=True)
class JudgedScene:
    """A scene that a user judged, with the seed it is rendered from."""

    scene: Scene
    seed: int
    defects: tuple[int, ...] = ()
    """The level of each of `DEFECTS`; nothing where the picture is flawless."""
    rating: int | None = None
    """1 to 5, of users who rate."""
    drawn: DrawnPicture | None = None
    """What a denoiser drew of the scene; None of a rendered one."""

    @property
    def pixels(self) -> Pixels:
        """The picture that the user saw."""
        pixels = render(self.scene, self.seed) if self.drawn is None else self.drawn.pixels
        return spoil(pixels, self.defects, self.seed) if self.defects else pixels

    @property
    def numbers(self) -> list[int]:
        """All that it depends on."""
        optional = (self.rating, None if self.drawn is None else self.drawn.place)
        return [*self.scene.indices, self.seed, *self.defects, *(number for number in optional if number is not None)]


@dataclass(frozen=True)
class Judged:
    """The liked and the disliked scenes that one viewer sees of a user, oldest first; of pairs index-aligned."""

    liked: tuple[JudgedScene, ...]
    disliked: tuple[JudgedScene, ...]

    def latest(self, n: int) -> Judged:
        """The last n of each side."""
        return Judged(self.liked[-n:], self.disliked[-n:])

    def earliest(self, n: int) -> Judged:
        """The first n of each side."""
        return Judged(self.liked[:n], self.disliked[:n])

    def with_each_drawing_once(self) -> Judged:
        """The same, but a scene whose drawing was judged before is rendered: nobody judges one picture twice."""
        seen: set[int] = set()
        return Judged(*(tuple(_once(entry, seen) for entry in side) for side in (self.liked, self.disliked)))


def _once(entry: JudgedScene, seen: set[int]) -> JudgedScene:
    if entry.drawn is None or entry.drawn.place not in seen:
        seen |= set() if entry.drawn is None else {entry.drawn.place}
        return entry
    return replace(entry, drawn=None)


@dataclass(frozen=True)
class SimulatedUser:
    """A user with a known taste."""

    id: str
    split: Split
    index: int
    spec: TasteSpec
    world: World = FIRST
    seed: int = SEED

    @property
    def taste_name(self) -> str:
        """All that the taste depends on, as text."""
        return repr(self.spec) if self.spec.subjects is None else f"{self.spec!r} {self.spec.subjects}"

    @property
    def kind(self) -> UserKind:
        return self.spec.kind

    @cached_property
    def taste(self) -> Taste:
        """What counts now, for all subjects that have no taste of their own."""
        return Taste.of(self.spec, crowd=self.world.share(self.kind))

    @cached_property
    def _other(self) -> Taste:
        return Taste.other(self.spec, crowd=self.world.share(self.kind))

    def taste_on(self, content: Content) -> Taste:
        """What counts now for pictures of a content."""
        subjects = self.spec.subjects
        return self.taste if subjects is None or content not in subjects else self._other

    @cached_property
    def form(self) -> Form:
        """How this user judges what methods see."""
        if self.kind == "sparse":
            return "likes"
        forms = self.world.forms
        return forms[int(self._stream("form").choice(len(forms), p=[share for _, share in forms]))][0]

    @cached_property
    def care(self) -> float:
        """What one strong defect costs of the utility."""
        return float(self.world.quality * self._stream("care").uniform(*CARE))

    @lru_cache(maxsize=4096)  # noqa: B019 - users live as long as the process
    def judged(self, viewer: Viewer) -> Judged:
        """All judgments for one viewer: pairs for scorers, for methods what the user gives.

        Methods see only two likes of a sparse user.
        """
        return self._judgments(viewer).with_each_drawing_once()

    def _judgments(self, viewer: Viewer) -> Judged:
        rng = self._stream(viewer)
        n = MAX_HISTORY if viewer == "method" else SCORER_HISTORY
        present = PRESENT if self.kind == "drifting" and viewer == "method" else np.ones(n)
        if viewer == "method" and self.form == "ratings":
            return Judged(*(tuple(self._rated(rng, p, liked=liked) for p in present) for liked in (True, False)))
        pairs = [self._judge(viewer, rng, share) for share in present]
        liked, disliked = (tuple(side) for side in zip(*pairs, strict=True))
        if viewer == "method" and self.form == "likes":
            return Judged(liked[:_SPARSE_LIKES] if self.kind == "sparse" else liked, ())
        return Judged(liked, disliked)

    def _judge(self, viewer: Viewer, rng: np.random.Generator, present: float) -> tuple[JudgedScene, JudgedScene]:
        shown = self._show(4, viewer, rng)
        liked, disliked = judge_four(self._utilities(shown, present), self.world.sharpness(self.kind), rng)
        return shown.judged(liked, rng), shown.judged(disliked, rng)

    def _rated(self, rng: np.random.Generator, present: float, *, liked: bool) -> JudgedScene:
        """The first picture that is rated so high, or so low, that it is liked, or disliked."""
        while True:
            shown = self._show(1, "method", rng)
            rating = rate(float(self._utilities(shown, present)[0]), self.world.sharpness(self.kind), rng)
            if rating in (LIKED_RATINGS if liked else DISLIKED_RATINGS):
                return replace(shown.judged(0, rng), rating=rating)

    def _show(self, n: int, viewer: Viewer, rng: np.random.Generator) -> _Shown:
        contents = training_contents()
        content = contents[int(rng.integers(len(contents)))]
        owner, world = f"{self.split}/{viewer}", self.world
        styles = _candidates(content, n, owner, world, rng)
        defects = sample_defects(rng, n, world.defects) if world.defects > 0 else None
        drawn: list[DrawnPicture | None] = [None] * n
        pool = _drawn(content, owner, _owners(world)) if world.drawn > 0 else ()
        for i in np.flatnonzero(rng.random(n) < world.drawn) if pool else ():
            drawn[i] = one = pool[int(rng.integers(len(pool)))]
            styles[i] = one.scene.style
        return _Shown(content, styles, defects, drawn)

    def _utilities(self, shown: _Shown, present: float) -> FloatArray:
        """Utilities (N,) of the pictures shown, where the present taste has a share beside the former one."""
        utilities = self.taste_on(shown.content).of_styles(shown.styles)
        if present < 1:
            utilities = present * utilities + (1 - present) * self._other.of_styles(shown.styles)
        return utilities if shown.defects is None else utilities - self.care * severity(shown.defects)

    def _stream(self, purpose: str) -> np.random.Generator:
        return _stream(self.seed, self.split, self.index, purpose)

    def prompts(self) -> Sequence[Prompt]:
        """What this user's cases ask for: a fixed number from the split's shared pool, balanced over users."""
        pool = case_prompts(self.split, worded=self.world.worded_prompts)
        if self.world.worded_prompts:
            stream = [self.seed, SPLITS.index(self.split), _STREAMS["cases"]]
            return [pool[i] for i in balanced_places(len(pool), CASES, self.index, stream)]
        places = self._stream("cases").choice(len(pool), size=min(CASES, len(pool)), replace=False)
        return [pool[int(i)] for i in sorted(places)]


class _Shown(NamedTuple):
    """N pictures of one content that a user compares."""

    content: Content
    styles: IntArray
    """(N, axes)"""
    defects: IntArray | None
    """(N, defects); None in worlds without any."""
    drawn: Sequence[DrawnPicture | None]
    """Of those that a denoiser drew, the picture."""

    def judged(self, i: int, rng: np.random.Generator) -> JudgedScene:
        """One of them, with a seed to render it from."""
        defects = () if self.defects is None or not self.defects[i].any() else tuple(self.defects[i].tolist())
        scene, seed = self.content.scene(self.styles[i].tolist()), int(rng.integers(2**31))
        return JudgedScene(scene, seed, defects, drawn=self.drawn[i])


@lru_cache(maxsize=64)
def population(split: Split, world: World = FIRST, seed: int = SEED) -> tuple[SimulatedUser, ...]:
    """All users of a split; kinds in their stated shares, in a fixed shuffled order."""
    n = 0 if split == "shifted" and not world.shifted else SPLIT_SIZES[split]
    kinds = [kind for kind, share in world.kinds for _ in range(round(share * n))]
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    order = rng.permutation(len(kinds))
    return tuple(_user(split, i, kinds[int(k)], world, seed) for i, k in enumerate(order))


def _user(split: Split, index: int, kind: UserKind, world: World, seed: int) -> SimulatedUser:
    rng = _stream(seed, split, index, "taste")
    spec = sample_shifted_spec(rng, kind) if split == "shifted" else sample_spec(rng, kind, dict(world.weights))
    return SimulatedUser(f"{split}-{index:04d}", split, index, spec, world, seed)


def _stream(seed: int, split: Split, index: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, SPLITS.index(split), index, 1 + _STREAMS[purpose]])


def _candidates(content: Content, n: int, owner: str, world: World, rng: np.random.Generator) -> IntArray:
    """Styles (n, style axes) for one content, drawn uniformly from those whose scene is the `owner`'s."""
    parts, missing = list[IntArray](), n
    while missing > 0:
        drawn = sample_uniform(rng, 64)
        owned = _is_owned(content, drawn, owner, _owners(world)).nonzero()[0]
        parts.append(drawn.take(owned[:missing], axis=1).T)
        missing -= len(owned)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


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
_OWNERS_WITH_SHIFTED = (
    *("train/method",) * 6,
    *("train/scorer",) * 2,
    *("scorer/method",) * 3,
    *("scorer/scorer",) * 3,
    *("val/method",) * 2,
    *("val/scorer",) * 2,
    *("test/method",) * 2,
    *("test/scorer",) * 2,
    "shifted/method",
    "shifted/scorer",
)
"""The same where there are shifted users."""


def _owners(world: World) -> tuple[str, ...]:
    return _OWNERS_WITH_SHIFTED if world.shifted else _OWNERS


def _is_owned(content: Content, styles: IntArray, owner: str, owners: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which of the scenes of these styles (style axes, N) may be shown by an owner's judgments, (N,).

    CRC-32 is linear over GF(2): that of a scene is the sum of what each index alone changes in it.
    """
    none, changes = _crc_changes()
    of_content = none ^ changes[0, content.object] ^ changes[1, content.setting]
    crc = of_content ^ np.bitwise_xor.reduce(changes.take(styles + _STYLE_PLACES), axis=0)
    owned: NDArray[np.bool_] = _shares(owner, owners).take(crc % len(owners))
    return owned


@cache
def _drawn(content: Content, owner: str, owners: tuple[str, ...]) -> tuple[DrawnPicture, ...]:
    """The drawn pictures of a content whose scene is the owner's."""
    pictures = drawn_pictures().get(content, ())
    styles = np.array([picture.scene.style for picture in pictures], dtype=np.int64).reshape(-1, len(STYLE_NAMES))
    owned = _is_owned(content, styles.T, owner, owners)
    return tuple(picture for picture, is_owned in zip(pictures, owned, strict=True) if is_owned)


@cache
def _shares(owner: str, owners: tuple[str, ...]) -> NDArray[np.bool_]:
    return np.array([one == owner for one in owners])


@cache
def _crc_changes() -> tuple[np.uint32, NDArray[np.uint32]]:
    """The CRC-32 of a scene of zeros, and (axes, values) how it changes where one axis has another value."""
    zeros = bytes(len(AXES))
    none = zlib.crc32(zeros)
    units = [[zeros[:i] + bytes([value]) + zeros[i + 1 :] for value in range(_VALUES)] for i in range(len(AXES))]
    return np.uint32(none), np.array([[zlib.crc32(unit) ^ none for unit in row] for row in units], dtype=np.uint32)

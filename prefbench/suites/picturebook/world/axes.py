"""The vocabulary of the picturebook world: what a prompt names, what a taste is about, and the words for both.

A picture is a `Scene`: its *content* (object, setting) is what a prompt names; its *style* is one value on each taste
axis. Axes come in three groups that are always reported apart: `worded` (captions have words for them), `semantic`
(worded too, but a thing in the picture that no prompt ever implies) and `silent` (no caption ever names them).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Group = Literal["content", "worded", "semantic", "silent", "quality"]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """One attribute of a scene: its values, the phrase for each (None where no words exist) and the world's prior."""

    name: str
    group: Group
    values: tuple[str, ...]
    phrases: tuple[str | None, ...]
    prior: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def silent(self) -> bool:
        return self.group == "silent"


def _skewed(n: int) -> tuple[float, ...]:
    """The default look of the world: probabilities proportional to 1 / (rank + 2)."""
    raw = 1.0 / (np.arange(n) + 2.0)
    return tuple(float(p) for p in raw / raw.sum())


def _worded(name: str, values: Sequence[str], template: str, group: Group = "worded") -> Axis:
    return Axis(name, group, tuple(values), tuple(template.format(v) for v in values), _skewed(len(values)))


def _silent(name: str, values: Sequence[str]) -> Axis:
    return Axis(name, "silent", tuple(values), (None,) * len(values), (0.3, 0.4, 0.3))


OBJECT = Axis(
    "object",
    "content",
    ("house", "tree", "boat", "fish", "cat", "car", "umbrella", "rocket", "cup", "cactus", "crown", "snowman"),
    (None,) * 12,
    (1 / 12,) * 12,
)
SETTING = Axis("setting", "content", ("on a hill", "at sea", "at night", "in the rain"), (None,) * 4, (0.25,) * 4)
STYLE: tuple[Axis, ...] = (
    _worded("palette", ("ocean", "sunset", "forest", "pastel", "gray", "neon"), "{} colors"),
    _worded("background", ("plain", "striped", "dotted", "checkered"), "{} background"),
    _worded("line", ("no", "dark", "white"), "{} outline"),
    _worded("fill", ("flat", "hatched", "shaded"), "{} fill"),
    _worded("composition", ("close-up", "small", "repeated"), "{} view"),
    Axis(
        "companion",
        "semantic",
        ("none", "bird", "flower", "star", "heart"),
        ("alone", "with a bird", "with a flower", "with a star", "with a heart"),
        _skewed(5),
    ),
    _silent("temperature", ("cool", "neutral", "warm")),
    _silent("vignette", ("dark edges", "even", "light edges")),
    _silent("tilt", ("left", "upright", "right")),
)
AXES: tuple[Axis, ...] = (OBJECT, SETTING, *STYLE)
_SIZES: tuple[int, ...] = tuple(map(len, AXES))
AXIS: Mapping[str, Axis] = {axis.name: axis for axis in AXES}
STYLE_NAMES: tuple[str, ...] = tuple(axis.name for axis in STYLE)
_STYLE_SIZES: IntArray = np.array([[len(axis)] for axis in STYLE])
NAMEABLE: tuple[str, ...] = tuple(axis.name for axis in STYLE if not axis.silent)


def group_axes(group: Group) -> tuple[str, ...]:
    """Names of the axes in one group, in the world's order."""
    return tuple(axis.name for axis in AXES if axis.group == group)


@dataclass(frozen=True)
class Scene:
    """What a picture shows: one value index on every axis, in the order of `AXES`."""

    indices: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.indices) != len(AXES):
            raise ValueError(f"a scene has {len(AXES)} indices, got {len(self.indices)}")
        if min(self.indices) >= 0 and all(map(operator.lt, self.indices, _SIZES)):
            return
        for axis, size, index in zip(AXES, _SIZES, self.indices, strict=True):
            if not 0 <= index < size:
                raise ValueError(f"{axis.name} has values 0 to {size - 1}, got {index}")

    @classmethod
    def of(cls, **values: str | int) -> Scene:
        """A scene by names or indices; axes left out take their first value."""
        unknown = set(values) - set(AXIS)
        if unknown:
            raise ValueError(f"unknown axes {sorted(unknown)}; axes are {list(AXIS)}")
        entries = (values.get(axis.name, 0) for axis in AXES)
        pairs = zip(AXES, entries, strict=True)
        return cls(tuple(axis.values.index(v) if isinstance(v, str) else int(v) for axis, v in pairs))

    @cached_property
    def named(self) -> Mapping[str, str]:
        return {axis.name: axis.values[i] for axis, i in zip(AXES, self.indices, strict=True)}

    def index(self, axis: str) -> int:
        return self.indices[_POSITION[axis]]

    @property
    def content(self) -> Content:
        return Content(self.indices[0], self.indices[1])

    @property
    def style(self) -> tuple[int, ...]:
        """Indices on the style axes, in the order of `STYLE`."""
        return self.indices[2:]

    def phrases(self, axes: Iterable[str] = NAMEABLE) -> tuple[str, ...]:
        """Words for the given axes; those without words are left out."""
        phrases = (AXIS[name].phrases[self.index(name)] for name in axes)
        return tuple(phrase for phrase in phrases if phrase is not None)

    def caption(self, axes: Iterable[str] = ()) -> str:
        """The prompt for this scene, followed by words for the given axes in the given order."""
        return ", ".join([self.content.prompt, *self.phrases(axes)])


_POSITION: Mapping[str, int] = {axis.name: i for i, axis in enumerate(AXES)}


@dataclass(frozen=True, order=True)
class Content:
    """What a prompt names: an object in a setting, by index."""

    object: int
    setting: int

    @property
    def prompt(self) -> str:
        noun = OBJECT.values[self.object]
        article = "an" if noun[0] in "aeiou" else "a"
        return f"{article} {noun} {SETTING.values[self.setting]}"

    def scene(self, style: Sequence[int]) -> Scene:
        return Scene((self.object, self.setting, *map(int, style)))


CONTENTS: tuple[Content, ...] = tuple(Content(o, s) for o in range(len(OBJECT)) for s in range(len(SETTING)))
BY_PROMPT: Mapping[str, Content] = {content.prompt: content for content in CONTENTS}


@cache
def held_out_contents() -> tuple[tuple[Content, ...], tuple[Content, ...]]:
    """The (test, val) contents that no training caption and no history ever names.

    A fixed diagonal pattern: every object loses one setting (12 of 48), so each object and each setting stays well
    known on its own and only the combination is new. Test takes 8 + 2 of them, val the rest.
    """
    diagonal = [Content(o, (o + o // len(SETTING)) % len(SETTING)) for o in range(len(OBJECT))]
    val = (diagonal[3], diagonal[8])
    return tuple(c for c in diagonal if c not in val), val


@cache
def training_contents() -> tuple[Content, ...]:
    """The contents that captions and histories may name."""
    test, val = held_out_contents()
    return tuple(c for c in CONTENTS if c not in test and c not in val)


def sample_uniform(rng: np.random.Generator, n: int) -> IntArray:
    """Draws `n` styles uniformly, shape (style axes, n)."""
    return rng.integers(_STYLE_SIZES, size=(len(STYLE), n))  # the same stream as of a call for each axis


def sample_styles(rng: np.random.Generator, n: int, *, uniform: Iterable[str] = ()) -> IntArray:
    """Draws `n` styles, shape (n, style axes): the axes named in `uniform` uniformly, the others from the prior."""
    flat = set(uniform)
    if flat.issuperset(STYLE_NAMES):
        return np.ascontiguousarray(sample_uniform(rng, n).T)
    columns = [
        rng.integers(len(axis), size=n) if axis.name in flat else rng.choice(len(axis), size=n, p=axis.prior)
        for axis in STYLE
    ]
    return np.stack(columns, axis=1).astype(np.int64)

"""Rendered pictures with their scenes and captions: what the miniatures are trained on.

A corpus is a function of its recipe alone; it is rendered once and kept in the cache folder.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prefbench.api import VIEWERS
from prefbench.files import atomic_file, cache_folder
from prefbench.suites.picturebook.users.population import JudgedScene, population
from prefbench.suites.picturebook.users.worlds import WORLDS
from prefbench.suites.picturebook.world.axes import (
    AXES,
    CONTENTS,
    NAMEABLE,
    STYLE_NAMES,
    Scene,
    sample_styles,
    training_contents,
)
from prefbench.suites.picturebook.world.render import SIZE, VERSION

logger = logging.getLogger(__name__)
_CHUNK = 1000

GROUP = 8
"""Pictures in a group of `contrasts`."""

CorpusKind = Literal["captioned", "uniform", "contrasts", "judged"]


@dataclass(frozen=True)
class CorpusRecipe:
    """Which pictures to render.

    `captioned`: training contents only. Three in ten captions name no style and show the world's prior; the others
    name some or all worded and semantic axes, whose values are then uniform, while unnamed axes follow the prior. So an
    axis that a caption leaves open has the prior as its conditional distribution. `uniform`: every content, every axis
    uniform, for models that read attributes. `contrasts`: training contents in groups of eight pictures that differ on
    two of the axes with words and on the silent ones, for models that must distinguish captions by every axis.
    `judged`: the scenes that users of the scorer split judged, repeated in order, each time
    rendered from another seed, with the defects that they had.
    """

    kind: CorpusKind
    n: int
    seed: int
    world: int = VERSION
    users: str = "1"
    """The world, by its name in `WORLDS`, whose users judged."""

    @property
    def digest(self) -> str:
        content = asdict(self)
        if self.users == "1":
            del content["users"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


CAPTIONED = CorpusRecipe("captioned", 120_000, seed=1)
"""Training pictures of `mini-clip` and `mini-sd`."""
CONTRASTS = CorpusRecipe("contrasts", 120_000, seed=4)
"""Further training pictures of `mini-clip`: rows 8 i to 8 i + 7 are one group."""
READING = CorpusRecipe("uniform", 120_000, seed=2)
"""Training pictures of the reader."""
JUDGED = CorpusRecipe("judged", 129_600, seed=6)
"""Training pictures of `mini-dino`: six of every judged scene."""
HELD_OUT_SIZE = 5_000


def held_out(n: int = HELD_OUT_SIZE) -> CorpusRecipe:
    """Pictures that no model learns from: what cards are measured on."""
    return CorpusRecipe("uniform", n, seed=3)


@dataclass(frozen=True)
class Corpus:
    """Pictures uint8 (N, 32, 32, 3), scene indices int8 (N, axes), and which style axes each caption names."""

    pictures: NDArray[np.uint8]
    scenes: NDArray[np.int8]
    named: NDArray[np.bool_]
    """(N, style axes): whether the caption must name this axis."""

    def __len__(self) -> int:
        return len(self.pictures)

    def scene(self, index: int) -> Scene:
        return Scene(tuple(int(i) for i in self.scenes[index]))

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """The caption of one picture, its style words in random order."""
        axes = [name for name, in_caption in zip(STYLE_NAMES, self.named[index], strict=True) if in_caption]
        rng.shuffle(axes)
        return self.scene(index).caption(axes)


def load_corpus(recipe: CorpusRecipe) -> Corpus:
    """The corpus of a recipe, from the cache if it was rendered before."""
    path = cache_folder() / "corpus" / f"{recipe.kind}-{recipe.digest}.npz"
    if not path.exists():
        _store(path, _render_all(recipe))
    with np.load(path) as stored:
        return Corpus(stored["pictures"], stored["scenes"], stored["named"])


def _store(path: Path, corpus: Corpus) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, pictures=corpus.pictures, scenes=corpus.scenes, named=corpus.named)


def _render_all(recipe: CorpusRecipe) -> Corpus:
    jobs = [(recipe, start, min(_CHUNK, recipe.n - start)) for start in range(0, recipe.n, _CHUNK)]
    if len(jobs) == 1:  # not worth a process
        return _render_chunk(jobs[0])
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(len(jobs), os.cpu_count() or 1)) as pool:
        rendered = pool.imap(_render_chunk, jobs)
        chunks: Sequence[Corpus] = list(tqdm(rendered, total=len(jobs), desc="render corpus", unit="k"))
    return Corpus(
        np.concatenate([c.pictures for c in chunks]),
        np.concatenate([c.scenes for c in chunks]),
        np.concatenate([c.named for c in chunks]),
    )


def _render_chunk(job: tuple[CorpusRecipe, int, int]) -> Corpus:
    recipe, start, n = job
    rng = np.random.default_rng([recipe.seed, start])
    pictures = np.empty((n, SIZE, SIZE, 3), np.uint8)
    scenes, caption_flags = [], []
    for i, (entry, names) in enumerate(itertools.islice(_described(recipe, start, rng), n)):
        pictures[i] = replace(entry, seed=int(rng.integers(2**31))).pixels
        scenes.append(entry.scene.indices)
        caption_flags.append([name in names for name in STYLE_NAMES])
    return Corpus(pictures, np.array(scenes, np.int8), np.array(caption_flags, bool))


_Described = tuple[Scene, frozenset[str]]
"""A scene and the style axes that its caption names."""


def _described(
    recipe: CorpusRecipe, start: int, rng: np.random.Generator
) -> Iterator[tuple[JudgedScene, frozenset[str]]]:
    """What to draw, from seeds that are drawn later, and the style axes that the caption names."""
    if recipe.kind == "judged":
        judged = _judged(recipe.users)
        return ((judged[i % len(judged)], frozenset()) for i in itertools.count(start))
    described = _contrasting(rng) if recipe.kind == "contrasts" else _independent(recipe.kind, rng)
    return ((JudgedScene(scene, seed=0), names) for scene, names in described)


@cache
def _judged(world: str) -> tuple[JudgedScene, ...]:
    """Everything that users of the scorer split judged."""
    histories = (user.judged(viewer) for user in population("scorer", WORLDS[world]) for viewer in VIEWERS)
    return tuple(entry for history in histories for entry in (*history.liked, *history.disliked))


def _independent(kind: CorpusKind, rng: np.random.Generator) -> Iterator[_Described]:
    contents = CONTENTS if kind == "uniform" else training_contents()
    while True:
        names = _named_axes(kind, rng)
        uniform = STYLE_NAMES if kind == "uniform" else names
        style = sample_styles(rng, 1, uniform=uniform)[0]
        yield contents[rng.integers(len(contents))].scene(style), names


def _contrasting(rng: np.random.Generator) -> Iterator[_Described]:
    """Groups of scenes equal on all axes with words but two; objects and settings stay training contents."""
    contents = training_contents()
    worded = [a for a, axis in enumerate(AXES) if not axis.silent]
    while True:
        base = contents[rng.integers(len(contents))].scene(sample_styles(rng, 1, uniform=STYLE_NAMES)[0])
        free = rng.choice(worded, size=2, replace=False)
        members = 0
        while members < GROUP:
            style = sample_styles(rng, 1, uniform=NAMEABLE)[0]
            other = contents[rng.integers(len(contents))].scene(style).indices
            scene = Scene(
                tuple(base.indices[a] if a in worded and a not in free else other[a] for a in range(len(AXES)))
            )
            if scene.content in contents:
                members += 1
                yield scene, frozenset(NAMEABLE)


def _named_axes(kind: CorpusKind, rng: np.random.Generator) -> frozenset[str]:
    draw = rng.random()
    if kind == "uniform" or draw < 0.65:
        return frozenset(NAMEABLE) if kind == "uniform" or draw >= 0.3 else frozenset()
    share = rng.uniform(0.1, 0.9)
    return frozenset(name for name in NAMEABLE if rng.random() < share)

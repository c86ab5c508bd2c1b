"""Rendered pictures with their scenes and captions: what the miniatures are trained on.

A corpus is a function of its recipe alone; it is rendered once and kept in the cache folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prefbench.paths import atomic_file, cache_folder
from prefbench.suites.picturebook.axes import (
    CONTENTS,
    NAMEABLE,
    STYLE_NAMES,
    Scene,
    sample_styles,
    training_contents,
)
from prefbench.suites.picturebook.render import SIZE, VERSION, render

logger = logging.getLogger(__name__)
_CHUNK = 1000

Kind = Literal["captioned", "uniform"]


@dataclass(frozen=True)
class CorpusRecipe:
    """Which pictures to render.

    `captioned`: training contents only. Three in ten captions name no style and show the world's prior; the others
    name some or all worded and semantic axes, whose values are then uniform, while unnamed axes follow the prior. So an
    axis that a caption leaves open has the prior as its conditional distribution. `uniform`: every content, every axis
    uniform, for models that read attributes.
    """

    kind: Kind
    n: int
    seed: int
    world: int = VERSION

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


CAPTIONED = CorpusRecipe("captioned", 120_000, seed=1)
"""What `mini-clip` and `mini-sd` learn from."""


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
        axes = [name for name, named in zip(STYLE_NAMES, self.named[index], strict=True) if named]
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
    starts = range(0, recipe.n, _CHUNK)
    jobs = [(recipe, start, min(_CHUNK, recipe.n - start)) for start in starts]
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(len(jobs), os.cpu_count() or 1)) as pool:
        results = pool.imap(_render_chunk, jobs)
        chunks: Sequence[Corpus] = list(tqdm(results, total=len(jobs), desc="render corpus", unit="k"))
    return Corpus(
        np.concatenate([c.pictures for c in chunks]),
        np.concatenate([c.scenes for c in chunks]),
        np.concatenate([c.named for c in chunks]),
    )


def _render_chunk(job: tuple[CorpusRecipe, int, int]) -> Corpus:
    recipe, start, n = job
    rng = np.random.default_rng([recipe.seed, start])
    contents = CONTENTS if recipe.kind == "uniform" else training_contents()
    pictures = np.empty((n, SIZE, SIZE, 3), np.uint8)
    scenes, named = [], []
    for i in range(n):
        names = _named_axes(recipe.kind, rng)
        uniform = STYLE_NAMES if recipe.kind == "uniform" else names
        style = sample_styles(rng, 1, uniform=uniform)[0]
        scene = contents[rng.integers(len(contents))].scene(style)
        pictures[i] = render(scene, int(rng.integers(2**31)))
        scenes.append(scene.indices)
        named.append([name in names for name in STYLE_NAMES])
    return Corpus(pictures, np.array(scenes, np.int8), np.array(named, bool))


def _named_axes(kind: Kind, rng: np.random.Generator) -> frozenset[str]:
    draw = rng.random()
    if kind == "uniform" or draw < 0.65:
        return frozenset(NAMEABLE) if kind == "uniform" or draw >= 0.3 else frozenset()
    share = rng.uniform(0.1, 0.9)
    return frozenset(name for name in NAMEABLE if rng.random() < share)

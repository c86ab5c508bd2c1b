"""`mini-words`: visual words of picturebook, learned from pixels alone.

At full scale a scorer sees pictures through an encoder that nobody told what pictures show. So its miniature here is
taught without any label: a dictionary of patches by k-means and principal components, on pictures of what users of the
scorer split judged. It shares no weights, data or training with what methods use or with the reader.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from prefbench.api import Pixels
from prefbench.files import atomic_file, write_atomic
from prefbench.models.visual_words import Scale, VisualWords, Vocabulary
from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.suites.picturebook.reader.reading import to_tensor
from prefbench.training.loop import FitConfig, Progress

SCALES = (Scale(reduced=1, side=6, stride=2), Scale(reduced=2, side=6, stride=1))
_PATCHES = 50_000
_PICTURES = 4_000
"""Pictures that patches are taken from."""
_FLOOR = 0.02
"""Added to the variance of a patch's components, so that the least are not blown up to noise."""


class Sizes(NamedTuple):
    """How much is learned: words of a scale, components of a patch, components of a picture."""

    words: int = 192
    patch: int = 40
    picture: int = 400

    def of(self, pictures: int) -> Sizes:
        """The same where there are so many pictures: not more components than they have."""
        return self._replace(picture=min(self.picture, pictures - 1))


SIZES = Sizes()


def train_mini_words(corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> tuple[VisualWords, Progress]:
    """Learns the words of one corpus of judged scenes, of which only the pixels are looked at."""
    del folder  # seconds of work: there is nothing to continue
    (corpus,) = corpora
    wall, core = time.monotonic(), time.process_time()
    pictures = corpus.pictures[: config.images]
    words = learn_words(pictures, sizes=SIZES.of(len(pictures)), seed=config.seed)
    spent = time.monotonic() - wall, time.process_time() - core
    return words, Progress(1, len(pictures), *spent, [f"1 x {platform.machine()} CPU, 1 thread(s) each"])


def learn_words(pictures: NDArray[np.uint8], *, sizes: Sizes = SIZES, seed: int = 0) -> VisualWords:
    """The words and components of pictures uint8 (N, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    sample = pictures[rng.choice(len(pictures), min(_PICTURES, len(pictures)), replace=False)]
    vocabularies = [_vocabulary(scale, to_tensor(sample), sizes, rng) for scale in SCALES]
    words = VisualWords(vocabularies, sizes.picture)
    said = torch.cat([words.said(to_tensor(batch)) for batch in _batches(pictures)])
    words.mean.copy_(said.mean(0))
    # Not whitened: what varies little among pictures is mostly not what they show, and few users teach the scorer.
    words.project.copy_(_components(said, sizes.picture)[1])
    return words.eval()


def _vocabulary(scale: Scale, pictures: Tensor, sizes: Sizes, rng: np.random.Generator) -> Vocabulary:
    vocabulary = Vocabulary(scale, sizes.patch, sizes.words)
    patches = F.unfold(vocabulary.reduce(pictures), scale.side, stride=2).transpose(1, 2).flatten(0, 1)
    patches = patches[torch.from_numpy(rng.choice(len(patches), min(_PATCHES, len(patches)), replace=False))]
    variances, directions = _components(patches, sizes.patch)
    whiten = directions * (variances + _FLOOR).rsqrt()
    white = (patches - patches.mean(0)) @ whiten
    found = MiniBatchKMeans(
        sizes.words, batch_size=2048, n_init=1, max_iter=6, random_state=int(rng.integers(2**31))
    ).fit(white.numpy())
    vocabulary.whiten.copy_(whiten.T.reshape(vocabulary.whiten.shape))
    vocabulary.shift.copy_(-(patches.mean(0) @ whiten))
    vocabulary.centres.copy_(torch.from_numpy(found.cluster_centers_))
    return vocabulary


def _components(rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The n largest variances, and their directions (D, n); each direction's largest entry is positive."""
    variances, directions = torch.linalg.eigh(torch.cov(rows.T.double()))
    variances, directions = variances.flip(0)[:n].clamp(min=0), directions.flip(1)[:, :n]
    signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
    return variances.float(), (directions * signs).float()


def _batches(pictures: NDArray[np.uint8], size: int = 250) -> list[Pixels]:
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]


def save_mini_words(words: VisualWords, folder: Path) -> None:
    """Writes the weights in float16, and what they are weights of."""
    state = {name: tensor.half().contiguous() for name, tensor in words.state_dict().items()}
    with atomic_file(folder / "model.safetensors") as temporary:
        save_file(state, temporary)
    scales = [vocabulary.scale.__dict__ for vocabulary in words.vocabularies]
    write_atomic(folder / "config.json", json.dumps({"model": "visual-words", "scales": scales}, indent=2) + "\n")

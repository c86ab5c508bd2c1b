"""Projected gradient ascent on the pixels of a picture: the white-box attack on whatever measures it.

Madry et al. 2018 (arXiv 1706.06083): signed steps within a cube about the picture, from a random start. Averaged over
views it is the expectation over transformations of Athalye et al. 2018 (arXiv 1707.07397); the gradient passes JPEG as
if JPEG were the identity (their BPDA, arXiv 1802.00420). Averaged over all that `prefbench audit` looks through, it is
the adaptive attack on the audit.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import FloatArray, Pixels, PrefbenchError
from prefbench.api.gradients import Slopes

if TYPE_CHECKING:
    from prefbench.models.backbones.denoising import Denoiser

Climbed = Callable[[FloatArray], Slopes]
Through = Literal["plain", "shifts", "shifts and jpeg", "audit"]
_FIRST, _LAST = 0.25, 0.025
"""Step sizes at the start and the end, as shares of the noise; the steps between follow a cosine."""
_MOVES = 3
"""Moved views per step, beside the picture as it is."""
_QUALITY = 75
_NOISED = (30, 151)
"""Training steps of the denoiser whose noise the ascent looks through."""
_LAST_NOISED = 60
"""The one that the end of the ascent is cleaned from."""
_SEEDS = 2**62


def climb(
    pictures: Sequence[Pixels],
    slopes: Climbed,
    *,
    levels: int,
    steps: int,
    seeds: Sequence[int],
    through: Through,
    denoiser: Denoiser | None = None,
) -> list[NDArray[np.uint8]]:
    """The pictures with noise of at most `levels` of 255 in every number, which raises what `slopes` measures.

    Args:
        pictures: uint8 (H, W, 3), all of one size.
        slopes: values and gradients of pictures (N, H, W, 3).
        seeds: one per picture; decides where its ascent starts, and the first of them which views are averaged over.
        through: what the ascent averages over: nothing; moves of one pixel; these and JPEG of quality 75; or all that
            an audit looks through: moves with JPEG and, with twice the weight, the denoiser. Then what the denoiser
            would take off is taken off at last, as far as `levels` allow.
        denoiser: for `audit` alone, that of the backbone that drew the pictures.

    Raises:
        PrefbenchError: `audit` without a denoiser, or a denoiser for anything else.
    """
    if (through == "audit") != (denoiser is not None):
        raise PrefbenchError("a denoiser goes with through='audit' and with nothing else")
    clean = np.stack(pictures).astype(np.float64)
    starts = [np.random.default_rng(seed).uniform(-0.5, 0.5, clean.shape[1:]) for seed in seeds]
    noise, rng = np.stack(starts) * levels, np.random.default_rng(seeds[0])
    for step in range(steps):
        share = (1 + math.cos(math.pi * step / steps)) / 2
        size = levels * (_LAST + (_FIRST - _LAST) * share)
        noisy = np.clip(clean + noise, 0, 255)
        gradient = _averaged(noisy, slopes, rng, through)
        if denoiser is not None:
            gradient = gradient + 2 * denoiser.slopes_through(noisy, *_noised(rng, len(clean)), slopes).gradients
        noise = np.clip(noise + size * np.sign(gradient), -levels, levels)
    if denoiser is not None:
        noisy = np.clip(clean + noise, 0, 255)
        cleaned = denoiser.cleaned(noisy, [_LAST_NOISED] * len(clean), _noised(rng, len(clean))[1])
        noise = np.clip(cleaned - clean, -levels, levels)
    return list(np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8))


def _averaged(pictures: FloatArray, slopes: Climbed, rng: np.random.Generator, through: Through) -> FloatArray:
    """The mean gradient over the views of one step."""
    total = slopes(pictures).gradients
    if through == "plain":
        return total
    for _ in range(1 if through == "audit" else _MOVES):
        down, right = (int(n) for n in rng.integers(-1, 2, 2))
        view = _moved(pictures, down, right)
        view = view if through == "shifts" else _compressed(view)
        total = total + _moved(slopes(view).gradients, -down, -right)
    return total


def _noised(rng: np.random.Generator, n: int) -> tuple[list[int], list[int]]:
    """Steps and seeds of the noise that the denoiser takes off."""
    return rng.integers(*_NOISED, n).tolist(), rng.integers(_SEEDS, size=n).tolist()


def _moved(pictures: FloatArray, down: int, right: int) -> FloatArray:
    """Pictures (N, H, W, 3) moved by at most one pixel each way, their edges repeated."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return padded[:, 1 - down : 1 - down + pictures.shape[1], 1 - right : 1 - right + pictures.shape[2]]


def _compressed(pictures: FloatArray) -> FloatArray:
    return np.stack([_jpeg(picture) for picture in np.rint(pictures).astype(np.uint8)]).astype(np.float64)


def _jpeg(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with io.BytesIO() as stream:
        Image.fromarray(picture).save(stream, "JPEG", quality=_QUALITY)
        return np.asarray(Image.open(stream))

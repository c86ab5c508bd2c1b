"""Adversarial training of readers: every picture is read through the noise that misleads the reader most.

Projected gradient descent (Madry et al. 2018, arXiv 1706.06083). Most of the training takes a single step from a random
start, unclipped (N-FGSM, de Jorge et al. 2022, arXiv 2202.01181), which does not collapse as a clipped one does; the
rest takes two. Each step misleads on a few random axes, as somebody does who games one user's utility.
"""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.suites.picturebook.reader.reading import to_tensor
from prefbench.suites.picturebook.world.axes import AXES
from prefbench.suites.picturebook.world.defects import DEFECT_NAMES, DEFECTS, spoil
from prefbench.training.loop import Batch, BatchSource

LEVELS = 16
"""The strongest noise of the training, in levels of 255."""
_WARM_UP, _SINGLE_STEPS = 0.25, 0.75
_LEVEL_WEIGHTS = (1.0, 3.0, 2.0)
"""Of the levels of a defect in the loss, so that the rare ones, and faint ones most, are not read as none."""
_SPOILED, _CLEAN, _ATTACKED_AXES, _GRAINY = 0.5, 0.4, 0.3, 4 / 127.5
_FAINTER = 1.5
"""Power of a uniform number that gives the size of the noise: faint noise is more frequent than strong."""
_SHIFTED, _COMPRESSED = 0.5, 0.2
_BEND, _OFF = 0.05, 0.025
"""Bends of shapes, in half sides of a picture (0.8 pixels), and errors of colours, in half ranges (3 levels of 255)."""


class RobustReadingTask(nn.Module):
    """Cross entropy of every axis and of every defect, on pictures with adversarial noise.

    Batch: `pictures` (B, 3, 32, 32) in [-1, 1]; `scenes` (B, axes) and `defects` (B, defects) true indices; `size`
    (B, 1, 1, 1) the largest noise of each picture; `start` like the pictures in [-1, 1], the noise to start from as a
    share of `size`; `attacked` (B, axes) 1 for the axes to mislead on.

    Args:
        network: pictures to logits for each of `AXES`, then for each of `DEFECTS`.
        images: length of the training; the noise grows over its first quarter.
    """

    seen: Tensor

    def __init__(self, network: nn.Module, *, images: int) -> None:
        super().__init__()
        self.network, self.images = network, images
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, batch: Batch) -> Tensor:
        progress = int(self.seen) / self.images
        size = batch["size"] * min(1.0, progress / _WARM_UP)
        if self.training:
            self.seen += len(size)
        noisy = self.attack(batch, size, steps=1 if progress < _SINGLE_STEPS else 2)
        logits = self.network(noisy)
        axes, defects = logits[: len(AXES)], logits[len(AXES) :]
        loss = torch.stack([F.cross_entropy(z, batch["scenes"][:, a]) for a, z in enumerate(axes)]).sum()
        return loss + _defect_loss(defects, batch["defects"], size.flatten())

    def attack(self, batch: Batch, size: Tensor, *, steps: int) -> Tensor:
        """The pictures with noise that raises the cross entropy of the attacked axes."""
        pictures = batch["pictures"]
        noise = batch["start"] * size
        for _ in range(steps):
            noisy = (pictures + noise).requires_grad_()
            readings = self.network(noisy)[: len(AXES)]
            losses = [F.cross_entropy(z, batch["scenes"][:, a], reduction="none") for a, z in enumerate(readings)]
            misled = (torch.stack(losses, dim=1) * batch["attacked"]).sum()
            (gradient,) = torch.autograd.grad(misled, noisy)
            noise = noise + gradient.sign() * size * (1.0 if steps == 1 else 0.75)
            noise = noise if steps == 1 else torch.maximum(torch.minimum(noise, size), -size)
        return (pictures + noise).clamp(-1, 1).detach()


def _defect_loss(logits: tuple[Tensor, ...], levels: Tensor, size: Tensor) -> Tensor:
    """Without the axis of noise where the attack itself is visible as noise."""
    total = logits[0].new_zeros(())
    for d, (name, z) in enumerate(zip(DEFECT_NAMES, logits, strict=True)):
        losses = F.cross_entropy(z, levels[:, d], weight=z.new_tensor(_LEVEL_WEIGHTS), reduction="none")
        total = total + (losses * (size <= _GRAINY) if name == "noise" else losses).mean()
    return total


def robust_batches(corpus: Corpus) -> BatchSource:
    """Pictures with defects, shifts, compression, softness and faint noise, and what the attack starts from."""

    def draw(rng: np.random.Generator, size: int) -> Batch:
        rows = rng.integers(len(corpus), size=size)
        defects = _levels(rng, size)
        altered = [_altered(corpus.pictures[row], levels, rng) for row, levels in zip(rows, defects, strict=True)]
        pictures = _as_drawn(to_tensor(np.stack(altered)), rng)
        share = _uniform(rng, 0, 0.35, size)
        soft = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
        grain = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
        pictures = pictures * (1 - share) + soft * share + _uniform(rng, 0, 0.04, size) * grain
        attacked = rng.random((size, len(AXES))) < _ATTACKED_AXES
        attacked[np.arange(size), rng.integers(len(AXES), size=size)] = True
        attacked_at_all = torch.from_numpy(rng.random((size, 1, 1, 1)) >= _CLEAN)
        return {
            "pictures": pictures.contiguous(memory_format=torch.channels_last),
            "scenes": torch.from_numpy(corpus.scenes[rows]).long(),
            "defects": torch.from_numpy(defects),
            "size": _uniform(rng, 0, 1, size) ** _FAINTER * LEVELS / 127.5 * attacked_at_all,
            "start": torch.from_numpy(rng.uniform(-1, 1, pictures.shape).astype(np.float32)),
            "attacked": torch.from_numpy(attacked.astype(np.float32)),
        }

    return draw


def _as_drawn(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Half of the pictures with shapes a little bent and colours a little off, as any denoiser draws them."""
    n = len(pictures)
    bent, off = (torch.from_numpy(rng.random((n, 1, 1, 1)) < 0.5) for _ in range(2))
    knots = torch.from_numpy(rng.standard_normal((n, 2, 5, 5), dtype=np.float32)) * _uniform(rng, 0, _BEND, n) * bent
    bend = F.interpolate(knots, pictures.shape[-2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    straight = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), list(pictures.shape), align_corners=False)
    warped = F.grid_sample(pictures, straight + bend, mode="bilinear", padding_mode="border", align_corners=False)
    pictures = torch.where(bent, warped, pictures)
    gain, bias = (torch.from_numpy(rng.normal(0, _OFF, (n, 3, 1, 1)).astype(np.float32)) * off for _ in range(2))
    return pictures * (1 + gain) + bias


def _uniform(rng: np.random.Generator, low: float, high: float, size: int) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, (size, 1, 1, 1)).astype(np.float32))


def _levels(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Levels of every defect (size, defects): half of the pictures have none, the others mostly one or two."""
    levels = rng.integers(1, 3, (size, len(DEFECTS)))
    has = rng.random((size, len(DEFECTS))) < 0.2
    has[np.arange(size), rng.integers(len(DEFECTS), size=size)] = True
    return np.where(has & (rng.random((size, 1)) < _SPOILED), levels, 0)


def _altered(picture: NDArray[np.uint8], levels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
    altered = spoil(picture, levels.tolist(), int(rng.integers(2**31)))
    if rng.random() < _SHIFTED:
        dy, dx = rng.integers(0, 3, 2)
        altered = np.pad(altered, ((1, 1), (1, 1), (0, 0)), mode="edge")[dy : dy + len(picture), dx : dx + len(picture)]
    return jpeg(altered, int(rng.integers(60, 96))) if rng.random() < _COMPRESSED else altered


def jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The picture after storing it as JPEG."""
    with io.BytesIO() as stream:
        Image.fromarray(picture).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

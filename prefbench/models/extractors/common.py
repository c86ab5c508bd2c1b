"""Code that extractors share. An extractor takes uint8 pictures and gives float64 features.

Its id names all that moves them: its recipe and the SHA-256 of its weights. Nothing here downloads; weights that are
absent are an error that names the command which fetches them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from prefbench.api import Extractor, ExtractorCard, Features, Pixels, PrefbenchError, WeightFiles
from prefbench.files import WEIGHTS
from prefbench.models.memory import Batches

if TYPE_CHECKING:
    import torch

_BATCH = 64
Load = TypeVar("Load", bound=Callable[..., Extractor])


def loads(card: ExtractorCard, *weights: WeightFiles | Callable[[], WeightFiles]) -> Callable[[Load], Load]:
    """Records on an extractor's constructor its card, and which weights it loads by default, for `inventory`."""

    def note(function: Load) -> Load:
        function.__dict__.update(card=card, weights=weights)
        return function

    return note


def world_of(weights: str) -> str | None:
    """The suite that shipped weights learned from, as the card beside them says; None without a card."""
    card = WEIGHTS / weights / "card.json"
    suite: str | None = json.loads(card.read_text(encoding="utf-8"))["data"]["suite"] if card.is_file() else None
    return suite


@contextmanager
def loading(name: str, source: Path) -> Iterator[None]:
    """Turns whatever the libraries raise on damaged or foreign weights into one line that names them."""
    try:
        yield
    except PrefbenchError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PrefbenchError(f"extractor {name!r} cannot be loaded from {source} ({reason})") from error


def in_batches(name: str, items: Sequence[Any], encode: Callable[[Sequence[Any]], Features]) -> Features:
    """The features of all items, a batch at a time. Raises `PrefbenchError` where not even one fits into memory."""
    batches = Batches(f"{name}: not even one item fits into memory; free some, or choose another device", _BATCH)
    chunks = batches.each(len(items), lambda start, stop: encode(items[start:stop]))
    return np.concatenate(chunks) if chunks else np.empty((0, 0))


def run_network(network: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, device: torch.device) -> Features:
    """The output (N, D) of a network on `device`, as float64; computed in full float32, without TF32 on CUDA."""
    import torch

    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        # To the CPU first: Apple's devices have no float64.
        features: Features = network(batch.to(device)).cpu().double().numpy()
    return features


def checked_picture(picture: Pixels) -> Pixels:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise PrefbenchError(f"extractors take uint8 pictures (H, W, 3), got {picture.dtype} {picture.shape}")
    return picture


def file_digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

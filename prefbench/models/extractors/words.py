"""Extractor over visual words: `mini-words`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from prefbench.api import Extractor, ExtractorCard, Features, FloatArray, Pixels, PrefbenchError, WeightFiles, counted
from prefbench.api.gradients import Slopes
from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.extractors.common import checked_picture, in_batches, loading, loads, run_network, world_of

if TYPE_CHECKING:
    import torch

    from prefbench.models.visual_words import VisualWords

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
MINI_WORDS = WeightFiles(str(WEIGHTS / "mini-words"), (_WEIGHTS, _CONFIG), licence="Apache-2.0", trainer="mini-words")


class WordsExtractor:
    """Principal components of what visual words say; pictures of another size are reduced by area.

    Args:
        name: the registry's name of it, first part of the id.
        folder: of the weights and what they are weights of.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.

    Raises:
        PrefbenchError: the weights cannot be loaded.
    """

    def __init__(self, name: str, folder: Path, *, device: str | None = None) -> None:
        import torch

        from prefbench.models.loading import choose_device

        self.device = choose_device(device)
        # Outside of inference mode, or `image_slopes` could not differentiate what a scorer loaded while it scored.
        with torch.inference_mode(False), loading(name, folder):
            self._words = load_words(folder).to(self.device)
        self._id = f"{name}[quarters]@{hub.digest({folder: [folder / _WEIGHTS, folder / _CONFIG]})}"

    @property
    def id(self) -> str:
        return self._id

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return in_batches(self.id, pictures, self._encode)

    def image_slopes(self, pictures: FloatArray, value: Callable[[torch.Tensor], torch.Tensor]) -> Slopes:
        """How a function of the features changes with the pixels: `prefbench.api.gradients.SlopedExtractor`.

        Raises:
            PrefbenchError: pictures of another size: no gradient passes the resizing.
        """
        from prefbench.models.slopes import slopes_of
        from prefbench.models.visual_words import SIDE

        if pictures.shape[1:3] != (SIDE, SIDE):
            raise PrefbenchError(f"{self._id.partition('[')[0]} gives gradients of pictures of side {SIDE} alone")
        return slopes_of(lambda x: value(self._words(2 * x - 1)), pictures, self.device)

    def texts(self, texts: Sequence[str]) -> Features:
        """Raises `PrefbenchError`: words of pictures are none of texts."""
        name = self._id.partition("[")[0]
        raise PrefbenchError(f"extractor {name!r} has no text tower; {counted(len(texts), 'text')} given")

    def _encode(self, pictures: Sequence[Pixels]) -> Features:
        import torch

        pixels = np.stack([_fit(checked_picture(picture)) for picture in pictures])
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        return np.asarray(run_network(self._words, batch, self.device))


def load_words(folder: Path) -> VisualWords:
    """The trained words in float32."""
    from safetensors.torch import load_file

    from prefbench.models.visual_words import Scale, VisualWords, Vocabulary

    scales = [Scale(**scale) for scale in json.loads((folder / _CONFIG).read_text(encoding="utf-8"))["scales"]]
    state = {name: tensor.float() for name, tensor in load_file(folder / _WEIGHTS).items()}
    shapes = [state[f"vocabularies.{i}.centres"].shape for i in range(len(scales))]
    vocabularies = [Vocabulary(s, components, words) for s, (words, components) in zip(scales, shapes, strict=True)]
    network = VisualWords(vocabularies, state["project"].shape[1])
    network.load_state_dict(state)
    return network.eval()


def _fit(picture: Pixels) -> Pixels:
    from prefbench.models.visual_words import SIDE

    if picture.shape == (SIDE, SIDE, 3):
        return picture
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX))


@loads(
    ExtractorCard("mini-words", "visual words of 32x32 pictures, learned without labels", world_of("mini-words")),
    MINI_WORDS,
)
def mini_words(folder: Path = WEIGHTS / "mini-words") -> Extractor:
    """Visual words of picturebook, learned without a label; not shipped: `prefbench train mini-words --install`."""
    return WordsExtractor("mini-words", hub.require("extractor 'mini-words'", replace(MINI_WORDS, source=str(folder))))

"""Extractor over FID's Inception network, resized as clean-fid does."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prefbench.api import Extractor, ExtractorCard, Features, Pixels, PrefbenchError, WeightFiles, counted
from prefbench.files import cache_folder
from prefbench.models import hub
from prefbench.models.extractors.common import checked_picture, file_digest_of, in_batches, loading, loads, run_network

_INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
_INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"


class InceptionExtractor:
    """Pool features (N, 2048) of the Inception network of FID, resized as clean-fid does.

    Args:
        weights: A state dict of torch-fidelity's network; only tensors are read from it.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
    """

    def __init__(self, weights: Path, *, device: str | None = None) -> None:
        import torch

        from prefbench.models.loading import choose_device

        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError as error:
            raise PrefbenchError(
                "extractor 'inception' needs the package torch-fidelity: pip install torch-fidelity"
            ) from error
        # torch-fidelity unpickles whatever it is given, so it is given a copy of the tensors alone.
        tensors = io.BytesIO()
        torch.save(torch.load(weights, map_location="cpu", weights_only=True), tensors)
        tensors.seek(0)
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=tensors)
        # Its forward pass would resize on its own; its layers, without the classifier, do not.
        self.device = choose_device(device)
        self.trunk = torch.nn.Sequential(*list(network.children())[:-1], torch.nn.Flatten()).to(self.device).eval()
        self._id = f"inception[pil-bicubic-float-299,pool3]@{file_digest_of(weights)}"

    @property
    def id(self) -> str:
        return self._id

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, 2048). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return in_batches(self.id, pictures, self._encode)

    def texts(self, texts: Sequence[str]) -> Features:
        """Raises `PrefbenchError`: there is no text tower."""
        raise PrefbenchError(f"extractor 'inception' has no text tower; {counted(len(texts), 'text')} given")

    def _encode(self, pictures: Sequence[Pixels]) -> Features:
        import torch

        resized = np.stack([resize_channels(checked_picture(picture), 299) for picture in pictures])
        return run_network(self.trunk, torch.from_numpy((resized - 128) / 128), self.device)


def resize_channels(picture: Pixels, size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The picture as float32 (3, size, size) in [0, 255]: PIL's bicubic on each channel, unrounded, then clipped.

    Parmar et al. 2022, "On aliased resizing": other filters move FID by several points.
    """
    channels = [Image.fromarray(picture[..., c].astype(np.float32)) for c in range(3)]
    return np.stack([np.asarray(c.resize((size, size), Image.Resampling.BICUBIC)) for c in channels]).clip(0, 255)


def inception_weights() -> WeightFiles:
    """The published file in prefbench's cache folder."""
    folder = cache_folder() / "weights"
    fetch = f"curl -L --create-dirs -o {folder / _INCEPTION_FILE} {_INCEPTION_URL}{_INCEPTION_FILE}"
    return WeightFiles(str(folder), (_INCEPTION_FILE,), licence="Apache-2.0", size=95_600_000, command=fetch)


@loads(ExtractorCard("inception", "FID's Inception network, 2,048 numbers"), inception_weights)
def inception(weights: Path | None = None) -> Extractor:
    """FID's Inception network; weights from prefbench's cache folder unless given."""
    file = weights or hub.require("extractor 'inception'", inception_weights()) / _INCEPTION_FILE
    with loading("inception", file):
        return InceptionExtractor(file)

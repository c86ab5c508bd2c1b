"""The cards of the models that ship with the embedded world. Imports no torch: `list` reads them."""

from __future__ import annotations

from prefbench.api import BackboneCard
from prefbench.files import WEIGHTS
from prefbench.models.mllms.cards import MllmCard

MINI_SD = BackboneCard(
    name="mini-sd",
    pipeline="StableDiffusionPipeline",
    source=str(WEIGHTS / "mini-sd"),
    revision=None,
    resolution=32,
    steps=16,
    guidance=1.5,
    dtype="float32",
    licence="Apache-2.0",
)
MINI_MLLM = MllmCard(
    name="mini-mllm",
    source=str(WEIGHTS / "mini-mllm"),
    revision=None,
    dtype="float32",
    licence="Apache-2.0",
    context=1024,
    tuning="full",
    untrained="prefbench.suites.picturebook.miniatures.mini_mllm:reading_mini_mllm",
    trainer="ours",
    world="picturebook",
)

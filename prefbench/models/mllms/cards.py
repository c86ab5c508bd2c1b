"""The card of a multimodal language model, and those of two public ones. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["float32", "float16", "bfloat16"]
Tuning = Literal["full", "lora", "qlora"]
Layout = Literal["blocks", "verdicts"]
"""How a history is shown: `blocks` has all liked images and then all disliked ones, each after its word; in `verdicts`
the sides take turns, and the word follows the image, so that a model has to judge an image before it reads the word."""


@dataclass(frozen=True)
class MllmCard:
    """How a multi-image language model is loaded and tuned."""

    name: str
    source: str
    """Hub id, or the folder of shipped weights."""
    revision: str | None
    dtype: Dtype
    licence: str
    context: int
    """Tokens a conversation may have at most."""
    image_side: int | None = None
    """Pixels of the longest side that images are reduced to; None for what the processor does by itself."""
    tuning: Tuning = "lora"
    """What training changes: all weights, adapters of peft, or adapters on a model in four bits."""
    untrained: str | None = None
    """`module:function` that builds the model where it has never been trained; None where training starts from the
    stored weights."""
    adapter: str | None = None
    """Folder of a peft adapter that is put on the model; None for the model as its source holds it."""
    trainer: str | None = None
    """The registered trainer that makes the shipped weights."""
    size: int | None = None
    """Bytes of the download as published, rounded; None where unknown."""
    history: Layout = "blocks"
    """How it is shown histories, as in its training; stored weights say it in their folder."""
    pooled: bool = False
    """Whether it is shown each picture as one token, the mean of its own (`pooling.py`), as in its training; stored
    weights say it in their folder."""
    phrases: tuple[tuple[str, ...], ...] = ()
    """Phrases that it learned to judge after a history (`phrases.py`), in groups of those that no picture shows
    together; stored weights say it in their folder."""
    world: str | None = None
    """The suite whose pictures alone it learned from; None for a model that knows pictures of many kinds."""

    @property
    def judged_phrases(self) -> tuple[str, ...]:
        """The phrases of all groups, in the order in which it is asked about them."""
        return tuple(phrase for group in self.phrases for phrase in group)


IDEFICS2_8B = MllmCard(
    name="idefics2-8b",
    source="HuggingFaceM4/idefics2-8b",
    revision="main",
    dtype="bfloat16",
    licence="Apache-2.0",
    context=8192,
    image_side=448,
    tuning="qlora",
)
QWEN25_VL_7B = MllmCard(
    name="qwen2.5-vl-7b",
    source="Qwen/Qwen2.5-VL-7B-Instruct",
    revision="main",
    dtype="bfloat16",
    licence="Apache-2.0",
    context=32768,
    image_side=448,
    tuning="lora",
    size=16_600_000_000,
)

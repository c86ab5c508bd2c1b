"""Conversations with a multimodal language model: turns of text and images. Plain data, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

Part = str | Image.Image
MOST_OBLONG = 100
"""Largest ratio of longer to shorter side; Qwen2.5-VL's processor refuses 200."""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation: texts and images in their order."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]
    taught: bool = True
    """Whether training takes a loss on it; for turns of the assistant."""

    @property
    def images(self) -> tuple[Image.Image, ...]:
        return tuple(part for part in self.parts if not isinstance(part, str))


Conversation = Sequence[Turn]


def ask(*parts: Part) -> Turn:
    """A turn of the user."""
    return Turn("user", parts)


def answer(text: str, *, taught: bool = True) -> Turn:
    """A turn of the assistant."""
    return Turn("assistant", (text,), taught)


def images_of(conversation: Conversation) -> list[Image.Image]:
    """All images of a conversation, in their order."""
    return [image for turn in conversation for image in turn.images]


def as_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """The conversation in the form that chat templates read.

    Between a part and words that follow it stands a space: templates join parts without one, and Idefics2's processor
    would put it after images by itself, so that texts and tokens no longer agreed.
    """
    return [{"role": turn.role, "content": _content(turn.parts)} for turn in conversation]


def _content(parts: Sequence[Part]) -> list[dict[str, str]]:
    content = []
    for i, part in enumerate(parts):
        if isinstance(part, str):
            spaced = i > 0 and part != "" and not part[0].isspace()
            content.append({"type": "text", "text": f" {part}" if spaced else part})
        else:
            content.append({"type": "image"})
    return content


def fitted(image: Image.Image, side: int | None) -> Image.Image:
    """An image as RGB, its longest side at most `side` pixels, and no more oblong than processors can take."""
    rgb = image.convert("RGB")
    longest = max(rgb.size) if side is None else min(max(rgb.size), side)
    scale = longest / max(rgb.size)
    least = -(-longest // MOST_OBLONG)
    width, height = (max(round(length * scale), least) for length in rgb.size)
    return rgb if rgb.size == (width, height) else rgb.resize((width, height), Image.Resampling.LANCZOS)

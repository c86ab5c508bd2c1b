"""Conversations with a multimodal language model: turns of text and images. Plain data, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from PIL import Image

from prefbench.models.mllms.cards import Layout


@dataclass(frozen=True)
class Judged:
    """The images of a history as one part of a turn; each model is shown them in the layout of its training.

    Args:
        words: what stands beside a liked and beside a disliked image.
    """

    liked: tuple[Image.Image, ...]
    disliked: tuple[Image.Image, ...]
    words: tuple[str, str] = ("liked", "disliked")

    def parts(self, layout: Layout) -> list[str | Image.Image]:
        """Words and images in the order of a layout."""
        if layout == "verdicts":
            return [part for sign, image in self._by_turns() for part in (image, self.words[sign < 0])]
        sides = zip(self.words, (self.liked, self.disliked), strict=True)
        return [part for word, side in sides for image in side for part in (word, image)]

    def signs(self, layout: Layout) -> list[int]:
        """1 for each liked and -1 for each disliked image, in the order of a layout."""
        if layout == "verdicts":
            return [sign for sign, _ in self._by_turns()]
        return [1] * len(self.liked) + [-1] * len(self.disliked)

    def _by_turns(self) -> Iterator[tuple[int, Image.Image]]:
        """Both sides spread evenly over the whole, with their signs; where they tie, the liked image is first."""
        sides = [
            (Fraction(2 * i + 1, 2 * len(side)), -sign, sign, image)
            for sign, side in ((1, self.liked), (-1, self.disliked))
            for i, image in enumerate(side)
        ]
        for _, _, sign, image in sorted(sides, key=lambda entry: entry[:2]):
            yield sign, image


Part = str | Image.Image | Judged
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
        """Its images; those of a history in the order of `blocks`."""
        return tuple(part for part in self.laid_out("blocks").parts if isinstance(part, Image.Image))

    def laid_out(self, layout: Layout) -> Turn:
        """The same turn with every history as words and images."""
        if not any(isinstance(part, Judged) for part in self.parts):
            return self
        rows = (part.parts(layout) if isinstance(part, Judged) else [part] for part in self.parts)
        return replace(self, parts=tuple(part for row in rows for part in row))


Conversation = Sequence[Turn]


def ask(*parts: Part) -> Turn:
    """A turn of the user."""
    return Turn("user", parts)


def answer(text: str, *, taught: bool = True) -> Turn:
    """A turn of the assistant."""
    return Turn("assistant", (text,), taught)


def laid_out(conversations: Sequence[Conversation], layout: Layout) -> list[Conversation]:
    """The same conversations with every history as words and images."""
    return [[turn.laid_out(layout) for turn in conversation] for conversation in conversations]


def signs_of(conversation: Conversation, layout: Layout) -> list[int]:
    """For each image of a conversation, in the order of a layout: 1 liked, -1 disliked, 0 beside any history."""
    parts = (part for turn in conversation for part in turn.parts if not isinstance(part, str))
    return [sign for part in parts for sign in (part.signs(layout) if isinstance(part, Judged) else [0])]


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

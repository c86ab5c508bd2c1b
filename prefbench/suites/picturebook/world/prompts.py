"""What prompts ask for: a content, with or without one phrase for how it should look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from prefbench.api import PrefbenchError
from prefbench.suites.picturebook.world.axes import AXIS, CONTENTS, NAMEABLE, STYLE_NAMES, Content


class Word(NamedTuple):
    """One value of an axis that has words for its values."""

    axis: str
    value: int

    @classmethod
    def of(cls, axis: str, value: str) -> Word:
        """By the name of the value."""
        return cls(axis, AXIS[axis].values.index(value))

    @property
    def phrase(self) -> str:
        return str(AXIS[self.axis].phrases[self.value])


@dataclass(frozen=True)
class Prompt:
    """A content and perhaps one word: `a cat at night`, `a cat at night, striped background`."""

    content: Content
    word: Word | None = None

    @classmethod
    def of(cls, text: str) -> Prompt:
        """The prompt with this text. Raises `PrefbenchError` where no prompt of this world has it."""
        try:
            return _by_text()[text]
        except KeyError:
            raise PrefbenchError(f"picturebook has no prompt {text!r}") from None

    @property
    def text(self) -> str:
        return self.content.prompt if self.word is None else f"{self.content.prompt}, {self.word.phrase}"

    @property
    def fixed(self) -> Mapping[str, int]:
        """The axis that the prompt names, with its value; empty where it names none."""
        return {} if self.word is None else {self.word.axis: self.word.value}

    def styled(self, style: Sequence[int]) -> tuple[int, ...]:
        """A style, by one index for each style axis, with what the prompt names in its place."""
        return tuple(self.fixed.get(name, int(value)) for name, value in zip(STYLE_NAMES, style, strict=True))


@cache
def _by_text() -> Mapping[str, Prompt]:
    words = [None, *(Word(name, value) for name in NAMEABLE for value in range(len(AXIS[name])))]
    prompts = (Prompt(content, word) for content in CONTENTS for word in words)
    return {prompt.text: prompt for prompt in prompts}

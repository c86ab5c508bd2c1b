"""What the text encoders of a pipeline read of a text: its first tokens; the others are counted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from itertools import repeat
from typing import Any, NamedTuple

from prefbench.models.text_limits import hushed, unread_tokens

REMEMBERED = 65_536
"""Texts whose lengths are kept."""
_TOKENIZERS = ("tokenizer", "tokenizer_2")
_TEXTS = ("prompt", "prompt_2", "negative_prompt", "negative_prompt_2")
"""The arguments of a pipeline's `encode_prompt` that are texts."""


class AskedFor(NamedTuple):
    """A drawing's original prompt, the one that its method used, and its seed."""

    prompt: str
    prompt_used: str
    seed: int


@dataclass
class CutTexts:
    """The texts that were cut while a method drew: tokens not read, by text and the seed that it was drawn with.

    The seed is None for texts that the method encoded itself.
    """

    unread: dict[tuple[int | None, str], int] = field(default_factory=dict)

    def beside(self, named: Collection[str], seed: int, seeds: Collection[int]) -> int:
        """Tokens that were not read of the longest text of the drawing with `seed` that is not among `named`.

        Texts without a seed, or with one that is not among `seeds`, may belong to any drawing, so they count for all.
        """
        cut = self.unread.items()
        return max((n for (of, text), n in cut if text not in named and (of == seed or of not in seeds)), default=0)


class TextReader:
    """Counts tokens with a pipeline's own tokenizers, and watches what its text encoders are given.

    Every text that is encoded passes here: `encode_prompt` is wrapped, so that a method that calls the pipeline or its
    `encode_prompt` itself is watched too. The libraries' messages for single texts are left out.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline, self._encode_prompt = pipeline, pipeline.encode_prompt
        self._modules = [kind.__module__ for kind in type(pipeline).__mro__ if kind.__module__.startswith("diffusers.")]
        self.unread = lru_cache(maxsize=REMEMBERED)(self._unread)
        """Tokens of a text that some text encoder does not read; 0 where all read the whole text."""
        self._cut = CutTexts()
        pipeline.encode_prompt = self._watched(pipeline.encode_prompt)

    @property
    def limit(self) -> int:
        """Tokens that every text encoder reads, those of beginning and end included."""
        return min(int(tokenizer.model_max_length) for tokenizer in tokenizers_of(self.pipeline))

    def forget(self) -> None:
        """Forgets all lengths: the tokenizers have changed."""
        self.unread.cache_clear()

    def encode(self, *arguments: Any, **named: Any) -> Any:
        """The pipeline's `encode_prompt`, of texts that are noted elsewhere."""
        with hushed(*self._modules):
            return self._encode_prompt(*arguments, **named)

    def watch(self) -> None:
        """Begins to note anew which texts are cut; called before a method draws."""
        self._cut = CutTexts()

    def unread_of(self, drawings: Sequence[AskedFor]) -> list[dict[str, int]]:
        """What was not read for each drawing since `watch`, as fields of its row."""
        named = {text for asked in drawings for text in (asked.prompt, asked.prompt_used)}
        seeds = {asked.seed for asked in drawings}
        return [
            {
                "text_limit": self.limit,
                "prompt_cut": self.unread(asked.prompt),
                "prompt_used_cut": self.unread(asked.prompt_used),
                "other_cut": self._cut.beside(named, asked.seed, seeds),
            }
            for asked in drawings
        ]

    def note(self, texts: Iterable[str], seeds: Iterable[int | None] = repeat(None)) -> None:
        """Notes texts that a text encoder is given, with the seeds of their drawings."""
        given = {(seed, text): self.unread(text) for text, seed in zip(texts, seeds, strict=False)}
        self._cut.unread |= {key: unread for key, unread in given.items() if unread}

    def _unread(self, text: str) -> int:
        convert, tokenizers = getattr(self.pipeline, "maybe_convert_prompt", None), tokenizers_of(self.pipeline)
        return max(unread_tokens(one, text, int(one.model_max_length), convert) for one in tokenizers)

    def _watched(self, encode_prompt: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(encode_prompt)

        @wraps(encode_prompt)
        def encode(*arguments: Any, **named: Any) -> Any:
            given = signature.bind(*arguments, **named).arguments
            self.note(text for name in _TEXTS for text in _listed(given.get(name)))
            return self.encode(*arguments, **named)

        return encode


def tokenizers_of(pipeline: Any) -> list[Any]:
    """The tokenizers of a pipeline's text encoders: one, or two for SDXL."""
    return [one for name in _TOKENIZERS if (one := getattr(pipeline, name, None)) is not None]


def _listed(texts: Any) -> list[str]:
    return [texts] if isinstance(texts, str) else [text for text in texts or () if isinstance(text, str)]

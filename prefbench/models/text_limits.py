"""How many tokens of a text a model leaves unread, counted with its own tokenizer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prefbench.api import TextsRead

if TYPE_CHECKING:
    import torch

_PARAGRAPHS = ("truncated because CLIP", "longer than the specified maximum sequence length")
"""Out of the libraries' messages for every single text that is cut."""


def unread_tokens(tokenizer: Any, text: str, limit: int, convert: Callable[[str, Any], str] | None = None) -> int:
    """Tokens of a text behind the first `limit`, those of beginning and end included.

    Args:
        tokenizer: of transformers.
        convert: a pipeline's `maybe_convert_prompt`, which knows words of several learned tokens.

    Example:
        >>> from prefbench.suites.picturebook.world.words import picturebook_tokenizer
        >>> unread_tokens(picturebook_tokenizer(), "a house " * 20, 32)
        10
    """
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text to a tokenizer
    with hushed():
        text = text if convert is None else convert(text, tokenizer)
        return max(0, len(tokenizer(text)["input_ids"]) - limit)


def read_by_pipeline(tokenizers: Sequence[Any], texts: Sequence[str]) -> TextsRead:
    """What the text encoders of a pipeline read: a text that one of them cuts is cut."""
    limits = [int(tokenizer.model_max_length) for tokenizer in tokenizers]
    pairs = list(zip(tokenizers, limits, strict=True))
    return TextsRead.of(min(limits), [max(unread_tokens(one, text, n) for one, n in pairs) for text in texts])


def read_by_transformers(tokenizer: Any, texts: Sequence[str], limit: int) -> TextsRead:
    """What a model of transformers reads of texts that are cut at `limit` tokens."""
    return TextsRead.of(limit, [unread_tokens(tokenizer, text, limit) for text in texts])


def read_by_open_clip(tokenizer: Callable[..., torch.Tensor], texts: Sequence[str]) -> TextsRead:
    """What a model of open_clip reads. How long the texts are is not counted: its tokenizers have no common way.

    With room for one token more, a text that was cut has a word where its end stood.
    """
    rows = tokenizer(list(texts))
    limit = rows.shape[1]
    cut = (rows != tokenizer(list(texts), context_length=limit + 1)[:, :limit]).any(dim=1)
    return TextsRead(limit, len(texts), int(cut.sum()))


@contextmanager
def hushed(*modules: str) -> Iterator[None]:
    """Leaves out the libraries' messages on single texts that are cut; `modules` log beside the tokenizers."""
    loggers = [logging.getLogger(name) for name in (*modules, "transformers.tokenization_utils_base")]
    for logger in loggers:
        logger.addFilter(_is_no_paragraph)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_no_paragraph)


def _is_no_paragraph(record: logging.LogRecord) -> bool:
    return not any(words in str(record.msg) for words in _PARAGRAPHS)

"""A CLIP tokenizer with a small vocabulary, learned from a list of texts without any download."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer


def learn_clip_tokenizer(texts: Iterable[str], *, max_length: int) -> CLIPTokenizer:
    """Byte-level BPE over `texts`, merged until every word of theirs is one token.

    Other text still encodes, in smaller pieces. Begin and end of text get the two highest ids, as in CLIP's own
    vocabulary.
    """
    words = _count_words(texts)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*letters, *(letter + "</w>" for letter in letters)])}
    merges = list(_merges(words))
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    for special in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[special] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_length)


def _count_words(texts: Iterable[str]) -> Counter[str]:
    backend = CLIPTokenizer().backend_tokenizer
    words: Counter[str] = Counter()
    for text in texts:
        pieces = backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))
        words.update(word for word, _ in pieces)
    return words


def _merges(words: Counter[str]) -> Iterable[tuple[str, str]]:
    """Yields the BPE merges, the most frequent pair first, ties broken by the pair itself."""
    spelled = {word: (*word[:-1], word[-1] + "</w>") for word in words}
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in spelled.items():
            for pair in itertools.pairwise(symbols):
                pairs[pair] += words[word]
        if not pairs:
            return
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        yield best
        spelled = {word: _merge(symbols, best) for word, symbols in spelled.items()}


def _merge(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return tuple(merged)

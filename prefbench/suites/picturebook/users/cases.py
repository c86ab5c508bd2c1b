"""The prompts of the cases: the pool of each split, and which of it every user gets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import gcd

import numpy as np

from prefbench.api import Split
from prefbench.suites.picturebook.world.axes import held_out_contents, training_contents
from prefbench.suites.picturebook.world.prompts import Prompt, Word

_TEST_WORDS: tuple[Word, ...] = (
    Word.of("palette", "neon"),
    Word.of("background", "striped"),
    Word.of("companion", "bird"),
    Word.of("composition", "small"),
    Word.of("line", "white"),
    Word.of("fill", "hatched"),
    Word.of("palette", "forest"),
    Word.of("background", "checkered"),
    Word.of("companion", "heart"),
    Word.of("composition", "repeated"),
)
"""One for each content of test: every axis once or twice, never the value that is drawn most often unasked."""
_VAL_WORDS: tuple[tuple[Word, ...], ...] = (
    (Word.of("palette", "sunset"), Word.of("line", "dark"), Word.of("companion", "star")),
    (Word.of("background", "dotted"), Word.of("fill", "shaded"), Word.of("composition", "small")),
)
"""Those for each content of val."""


@cache
def case_prompts(split: Split, *, worded: bool) -> tuple[Prompt, ...]:
    """The pool of prompts that a split's cases draw from: contents, and with `worded` the same with words too.

    Val, test and shifted have held-out contents, which no caption combines with any word; shifted has the pool of test.
    """
    test, val = held_out_contents()
    words: dict[str, Sequence[Sequence[Word]]] = {
        "val": _VAL_WORDS,
        "test": [[word] for word in _TEST_WORDS],
        "shifted": [[word] for word in _TEST_WORDS],
    }
    contents = {"val": val, "test": test, "shifted": test}.get(split)
    if contents is None or not worded:
        return tuple(Prompt(content) for content in contents or training_contents())
    pairs = zip(contents, words[split], strict=True)
    return tuple(Prompt(content, word) for content, own in pairs for word in (None, *own))


def balanced_places(pool: int, cases: int, user: int, seed: Sequence[int]) -> list[int]:
    """The places in a pool of one user's cases, in order, so that every place has equally many users.

    As few users as can share a pool evenly form a block; each goes on where the one before stopped, in an order that
    every block draws anew.
    """
    cases = min(cases, pool)
    block, member = divmod(user, pool // gcd(pool, cases))
    order = np.random.default_rng([*seed, block]).permutation(pool)
    return sorted(int(order[(member * cases + i) % pool]) for i in range(cases))

"""`learn-user-pref`: does a picture fit these likes and dislikes, by a model trained on real users' pairs?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from prefbench.api import ScorerCard

from ..files import digest
from .asking import BASE, QUESTION, AskingScorer

if TYPE_CHECKING:
    from torch import Tensor

_POOL = "prompt_pool.pt"
_SIDE = 512
_LETTERS = 100
"""Letters of a prompt that are read: the `max_prompt_len` of the authors' training."""


class LearnUserPref(AskingScorer):
    """Learning User Preferences for Image Generation Models (Mo et al. 2025, arXiv 2508.08220).

    A LoRA on Idefics2-8b, trained on Pick-a-Pic's users to separate their likes from their dislikes, and vectors that
    stand before every text, trained after it ("preference tokens").

    Args: see `AskingScorer`. The authors show eight pairs in one order.
    """

    card: ClassVar[ScorerCard] = ScorerCard(
        name="learn-user-pref",
        version="1",
        summary="whether a user of Pick-a-Pic would like a picture, by Idefics2-8b with an adapter and learned tokens",
        licence="MIT (adapter and code), Apache-2.0 (Idefics2); Pick-a-Pic, which it is derived from, was withdrawn",
        personal=True,
        encoders=("HuggingFaceM4/idefics2-8b",),
        trained_on=("Pick-a-Pic v2",),
        source="https://arxiv.org/abs/2508.08220",
        caveats=(
            "orders 61.68 % of pairs that single users judged as they did (its table 1), where a scorer that knows no"
            " user reaches 57.72: means over users are usable, single values are near noise",
            "never calibrated: it was taught answers and to order pairs",
            "its paper was not accepted at ICLR 2026; reviewers missed error bars",
            "likes and dislikes of its training shared prompts pair by pair; here each picture comes with its own",
            "covers tokens that stand before every text, which its repository's file holds (ten by its size); the pool"
            " of twenty that its README mentions, of which some were chosen by the history, is refused",
            "asked as in training, with the answer next after `Assistant:` and prompts cut at 100 letters; the"
            " authors' script puts a space there first and cuts nothing. Never compared with the authors' numbers",
            "shares its base and part of its code with ViPer's metric, and authors with PrefGen: no independent"
            " judge of them",
        ),
    )

    files = (*AskingScorer.files, _POOL)

    def __init__(
        self,
        *,
        source: str = "wenyii/learn-user-pref",
        base: str = BASE,
        pairs: int = 8,
        orders: int = 4,
        seed: int = 0,
        batch: int = 1,
        device: str | None = None,
    ) -> None:
        super().__init__(source=source, base=base, pairs=pairs, orders=orders, seed=seed, batch=batch, device=device)

    def _question(self, prompt: str) -> str:
        return f"The prompt is '{prompt[:_LETTERS]}' {QUESTION}"

    def _shown(self, picture: Image.Image) -> Image.Image:
        # The authors stretch every picture to a square before its processor sees it.
        return picture.convert("RGB").resize((_SIDE, _SIDE))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        from .preference_tokens import standing_first

        with standing_first(self._mllm.model.get_decoder(), self._tokens):
            yield

    @cached_property
    def _tokens(self) -> Tensor:
        from .preference_tokens import read_tokens

        return read_tokens(self.card.name, self._find() / _POOL, self._mllm.width)

    def _digest(self) -> str:
        both = f"{super()._digest()} {digest([(self._find(), [_POOL])])}"
        return hashlib.sha256(both.encode()).hexdigest()

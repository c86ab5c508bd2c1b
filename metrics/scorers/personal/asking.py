"""Base of scorers that ask a language model about a picture after in-context examples, in several orders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image
from scipy.special import expit

from prefbench.api import Features, History, Judgment, Pixels, PrefbenchError, Scorer, UnreadableImageError, WeightFiles
from prefbench.models import hub
from prefbench.models.hub import MissingWeights
from prefbench.models.mllms import weights
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.conversation import Conversation, answer, ask

from ..crowd.base import check_pairs

if TYPE_CHECKING:
    from prefbench.models.mllms.model import Mllm

BASE = "idefics2-8b"
QUESTION = "Score for this image?"
LIKE, DISLIKE = "+", "-"
_LONGEST, _SHORTEST = 448, 378
"""Pixels of a picture's sides, as both adapters were trained."""


class AskingScorer(Scorer):
    """P(liked) by an adapter on Idefics2 that reads liked and disliked pictures with their labels, then one without.

    P = logistic(logit of "+" - logit of "-") where the label would stand. It depends on the order of the context, so it
    is the mean over several: the first is the published one, the others are drawn from `seed`.

    Args:
        source: the adapter: a repository of the hub or a folder.
        base: the language model that it is for: a registered name or a folder.
        pairs: liked and disliked pictures of the context, each; fewer where a history has fewer on one side.
        orders: orders of the context that are averaged.
        seed: of the orders after the first.
        batch: contexts that go through the model at once.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
    """

    files: ClassVar[tuple[str, ...]] = (weights.ADAPTER_FILE, weights.ADAPTER_WEIGHTS)
    """The files that are read from `source`."""

    def __init__(
        self, *, source: str, base: str, pairs: int, orders: int, seed: int, batch: int, device: str | None
    ) -> None:
        for name, value, least in (("pairs", pairs, 1), ("orders", orders, 1), ("seed", seed, 0), ("batch", batch, 1)):
            if value < least:
                raise PrefbenchError(f"scorer {self.card.name!r}: {name} is at least {least}, got {value}")
        self.source, self.base = source, base
        self.pairs, self.orders, self.seed = pairs, orders, seed
        self.batch, self.device = batch, device

    @cached_property
    def id(self) -> str:
        """Name, version, contexts and SHA-256 of base and adapter. Raises `PrefbenchError` where they are absent."""
        recipe = f"pairs={self.pairs},orders={self.orders},seed={self.seed}"
        return f"{self.card.name}@{self.card.version}[{recipe}]@{self._digest()}"

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """P(liked) (N,), the mean over orders.

        Raises:
            PrefbenchError: weights are absent or damaged; a history without likes or without dislikes, or of pictures
                that cannot be decoded; pictures that are not uint8 (H, W, 3), or not one per prompt.
        """
        return np.asarray(self.by_order(history, prompts, pictures).mean(0))

    def by_order(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """P(liked) (orders, N); its variance over the first axis is due to the order alone. Raises as `score`."""
        check_pairs(self.card.name, prompts, pictures)
        contexts = self._contexts(history)
        conversations = [
            [*context, ask(self._shown(Image.fromarray(picture)), self._question(prompt))]
            for context in contexts
            for prompt, picture in zip(prompts, pictures, strict=True)
        ]
        if not conversations:
            return np.empty((len(contexts), 0))
        with self._reading():
            like, dislike = self._mllm.word_logits(conversations, self._answers, batch=self.batch).double().numpy().T
        return np.asarray(expit(like - dislike).reshape(len(contexts), -1))

    def _contexts(self, history: History) -> list[Conversation]:
        orders = ordered(history, self.pairs, self.orders, self.seed)
        if not orders:
            raise PrefbenchError(
                f"scorer {self.card.name!r} needs pictures that the user liked and ones that they disliked: the history"
                f" of {history.user} has {len(history.liked)} and {len(history.disliked)}"
            )
        return [[turn for judgment in order for turn in self._judged(judgment)] for order in orders]

    def _judged(self, judgment: Judgment) -> Conversation:
        try:
            picture = self._shown(judgment.picture.load())
        except UnreadableImageError as error:
            raise PrefbenchError(f"scorer {self.card.name!r}: a judged picture cannot be read: {error}") from error
        return [ask(picture, self._question(judgment.prompt)), answer(LIKE if judgment.liked else DISLIKE)]

    @abstractmethod
    def _question(self, prompt: str) -> str:
        """The question about a picture that was drawn for a prompt."""

    def _shown(self, picture: Image.Image) -> Image.Image:
        """A picture as it is passed to the processor."""
        return picture

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Context of a forward pass of the language model."""
        yield

    @cached_property
    def _mllm(self) -> Mllm:
        from prefbench.models.mllms.loader import load_mllm

        mllm = load_mllm(self._card_with_adapter(), device=self.device)
        # Both adapters saw pictures no larger than this; the base's own processor would show them at 980 pixels.
        images = mllm.processor.image_processor
        images.size = images.size | {
            "longest_edge": min(images.size["longest_edge"], _LONGEST),
            "shortest_edge": min(images.size["shortest_edge"], _SHORTEST),
        }
        return mllm

    @cached_property
    def _answers(self) -> list[int]:
        """The tokens of both labels."""
        return self._mllm.first_tokens([LIKE, DISLIKE], whole=True)

    def _card_with_adapter(self) -> MllmCard:
        """The base's card with the adapter on it; raises `PrefbenchError` where either is absent."""
        from prefbench.models.loading import find_card
        from prefbench.models.mllms.folders import card_of_folder

        adapter = self._find()
        base = find_card("mllm", self.base, MllmCard, card_of_folder)
        card = replace(base, name=self.card.name, image_side=None, adapter=str(adapter))
        folder = weights.find(card)
        if isinstance(folder, MissingWeights):
            raise PrefbenchError(f"scorer {self.card.name!r}: {folder}")
        return card

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        """The adapter's files; those of its base are the language model's."""
        return (WeightFiles(self.source, self.files, licence=self.card.licence),)

    def _find(self) -> Path:
        return hub.require(f"scorer {self.card.name!r}", self.weights[0])

    def _digest(self) -> str:
        card = self._card_with_adapter()
        folder = weights.find(card)
        assert isinstance(folder, Path)
        return weights.digest(folder, Path(str(card.adapter)))


def ordered(history: History, pairs: int, orders: int, seed: int) -> list[tuple[Judgment, ...]]:
    """Judgments in the orders that a model is shown them, as many of one side as of the other; none for one side alone.

    The first is the published order: the history's first ones, a dislike before each like. In every further order the
    judgments are drawn at random, and so is which comes first within a pair.
    """
    n = min(pairs, len(history.liked), len(history.disliked))
    if n == 0:
        return []
    orderings = [tuple(j for pair in zip(history.disliked[:n], history.liked[:n], strict=True) for j in pair)]
    for turn in range(1, orders):
        rng = np.random.default_rng([seed, turn])
        sides: list[Sequence[Any]] = [
            [side[i] for i in rng.permutation(len(side))[:n]] for side in (history.disliked, history.liked)
        ]
        flips = rng.integers(0, 2, n)
        orderings.append(tuple(sides[(flip + k) % 2][i] for i, flip in enumerate(flips) for k in range(2)))
    return orderings

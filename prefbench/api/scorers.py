"""What a scorer is: a model of preference, of one picture or between two, whose card states its known faults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from prefbench.api.drawn import TextsRead
from prefbench.api.features import Features
from prefbench.api.pictures import Pixels
from prefbench.api.records import History
from prefbench.api.weights import WeightFiles


@dataclass(frozen=True)
class ScorerCard:
    """What a scorer is, what it was trained on, and its known faults."""

    name: str
    version: str
    summary: str
    licence: str
    personal: bool
    """Whether it reads the history; a scorer that does not predicts the average person's preference."""
    encoders: tuple[str, ...]
    """Encoders that its features come from; methods that use one of them are not ranked by it."""
    trained_on: tuple[str, ...]
    """Data it was trained on, as `suite:split`, or by name."""
    source: str | None = None
    caveats: tuple[str, ...] = ()
    world: str | None = None
    """The suite whose pictures alone its encoders learned from; None where these are of many kinds."""
    scale: str | None = None
    """What its values mean where they are no probability that the user likes the picture; None where they are.

    Such values still lie in [0, 1] and rise with what the model calls better.
    """


class Scorer(ABC):
    """P(liked) of pictures that were drawn for a prompt, given what a user judged.

    The constructor loads nothing; the first call does.
    """

    card: ClassVar[ScorerCard]

    @property
    @abstractmethod
    def id(self) -> str:
        """Name, version and SHA-256 of the weights: what its numbers depend on."""

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        """The weights that it loads with its parameters; `prefbench doctor` says what of that is missing."""
        return ()

    def texts_read(self, texts: Sequence[str]) -> TextsRead | None:  # noqa: ARG002
        """How many of these texts it cuts; None where it reads every text whole or none at all."""
        return None

    @abstractmethod
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """The probability (N,) that the history's user likes each picture for its prompt.

        A scorer that is not personal ignores the history. One whose values are no probability says on its card, in
        `scale`, what they are; they lie in [0, 1] all the same.

        Raises:
            PrefbenchError: weights are absent, or a personal scorer is given a history that it cannot read.
        """


class PairScorer(ABC):
    """P(the first of two pictures is preferred), given what a user judged: a pairwise judge.

    Judges favour a place, the first picture or the second. So whoever evaluates asks in both orders: answers that name
    different pictures are a tie, and how far the first place is favoured is the judge's position bias
    (`prefbench.score.both_orders`). The constructor loads nothing; the first call does.
    """

    card: ClassVar[ScorerCard]

    @property
    @abstractmethod
    def id(self) -> str:
        """Name, version and SHA-256 of the weights: what its numbers depend on."""

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        """The weights that it loads with its parameters; `prefbench doctor` says what of that is missing."""
        return ()

    @abstractmethod
    def prefer_first(
        self, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
    ) -> Features:
        """The probability (N,) that the history's user prefers each first picture to the second of its prompt.

        Asked in this order alone. A judge that is not personal ignores the history.

        Raises:
            PrefbenchError: weights are absent, or a personal judge is given a history that it cannot read.
        """


class CrossFittedScorer(Scorer):
    """A scorer that learns from the people of a suite, for each of them from the others alone.

    Whoever evaluates calls `fit` once with the judgments of many people that no method sees, then `score`. The user
    that a history names is the person that is left out: nothing that is learned across people, no scale or constant
    either, depends on what `fit` was told of them. What is known of the person is in the history alone. So an empty
    history under a person's id asks what the others would say, and another person's judgments under it ask how much of
    the accuracy is the person's own. A user whom `fit` was not told of leaves nobody out.
    """

    @abstractmethod
    def fit(self, histories: Mapping[str, History]) -> None:
        """Learns from the judgments of people by their ids, in whatever order; forgets what it learned before.

        Raises:
            PrefbenchError: weights are absent, or a picture cannot be read.
        """

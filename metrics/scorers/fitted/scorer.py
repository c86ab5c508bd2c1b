"""`fitted`: a person's taste from their own judgments, with what the others have in common as the prior."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
from scipy.special import expit

from prefbench.api import CrossFittedScorer, Features, FloatArray, History, Judgment, Pixels, PrefbenchError, ScorerCard

from .comparisons import PARTNERS, Comparisons, comparisons_of
from .encoder import Encoded, encoder_here
from .people import ENOUGH, EVERYTHING, FOLDS, Others, People
from .taste import COMPONENTS, PRECISION_OF_OTHERS, PRECISION_OF_PERSON, Space, fit_taste

_CONSTANTS = repr((COMPONENTS, PRECISION_OF_OTHERS, PRECISION_OF_PERSON, PARTNERS, FOLDS, ENOUGH))
_KEPT = 100_000
"""Most tastes kept in memory."""
_HISTORIES = 1_000
"""Most histories whose comparisons are kept in memory."""


class _Taste(NamedTuple):
    space: Space
    weights: FloatArray


class FittedScorer(CrossFittedScorer):
    """Logistic regression on differences of frozen features, one model a person and category.

    P(a is preferred to b) is logistic in the difference of the utilities of a and b. The others' comparisons give a
    taste, the person's own move it from there (the maximum a posteriori, `taste.py`). The value of a picture is the
    probability that it is preferred to the average judged picture, so differences of two values' logits are those of
    their utilities. A prompt that the judgments say much of is a category, with components and tastes of its own; all
    other prompts share those of everything.

    Args:
        encoder: a registered extractor that no method uses; by default the best one here: `open-nsfw` where
            `prefbench[people]` is installed, else `dinov2` from the hub's cache, else picturebook's `mini-dino`.
    """

    card = ScorerCard(
        name="fitted",
        version="1",
        summary="logistic regression on frozen features of the person's judgments, with the others' as prior",
        licence="Apache-2.0",
        personal=True,
        encoders=("open-nsfw",),
        trained_on=(),
        caveats=(
            "It learns from the judgments of the suite that it scores: its figures hold for that suite alone.",
            "Utility is linear in the features: what a person likes only in combination is lost.",
            "It does not ask whether a picture shows its prompt.",
        ),
        scale="the probability that the picture is preferred to the average judged one",
    )

    def __init__(self, *, encoder: Annotated[str, "extractor"] = "") -> None:
        self._encoded = Encoded(encoder or encoder_here())
        known = self._encoded.card
        world = known.world if known is not None else None
        self.__dict__["card"] = replace(type(self).card, encoders=(self._encoded.name,), world=world)
        self._people: People | None = None
        self._tastes: dict[tuple[str, str], _Taste | None] = {}
        self._compared: dict[tuple[tuple[Judgment, ...], ...], Comparisons] = {}

    @property
    def id(self) -> str:
        """It has no weights of its own: the digest is of the constants that it learns with."""
        constants = hashlib.sha256(_CONSTANTS.encode()).hexdigest()
        return f"fitted@{self.card.version}[{self._encoded.extractor.id}]@{constants}"

    def fit(self, histories: Mapping[str, History]) -> None:
        """See `CrossFittedScorer.fit`. Raises `PrefbenchError` also where a judged picture cannot be read."""
        comparisons = {user: comparisons_of(history) for user, history in histories.items() if len(history)}
        pictures = {p.digest: p for one in comparisons.values() for p in one.pictures}
        digests = sorted(pictures)
        features = self._encoded.judged([pictures[digest] for digest in digests])
        self._people = People(comparisons, features, {digest: n for n, digest in enumerate(digests)})
        self._tastes = {}

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """See the class. Raises `PrefbenchError` where neither the history nor `fit` says anything of any taste."""
        if len(prompts) != len(pictures):
            raise PrefbenchError(f"scorer 'fitted': {len(prompts)} prompts for {len(pictures)} pictures")
        if not pictures:
            return np.empty(0)
        categories = np.array([self._category(prompt, history.user) for prompt in prompts])
        features, values = self._encoded.asked(pictures), np.empty(len(pictures))
        for category in np.unique(categories):
            rows = categories == category
            taste = self._taste(history, str(category))
            values[rows] = expit(taste.space.coordinates(features[rows]) @ taste.weights)
        return values

    def _category(self, prompt: str, person: str) -> str:
        return EVERYTHING if self._people is None else self._people.category(prompt, person)

    def _taste(self, history: History, category: str) -> _Taste:
        key = history.digest, category
        if key not in self._tastes:
            if len(self._tastes) >= _KEPT:
                self._tastes = {}
            self._tastes[key] = self._fitted(history, category)
        taste = self._tastes[key]
        if taste is None:
            raise PrefbenchError("scorer 'fitted': no judgment of anybody to learn from")
        return taste

    def _comparisons(self, history: History) -> Comparisons:
        """Those of a history, which is often asked about under several names."""
        judgments = history.liked, history.disliked
        if judgments not in self._compared:
            if len(self._compared) >= _HISTORIES:
                self._compared = {}
            self._compared[judgments] = comparisons_of(history)
        return self._compared[judgments]

    def _fitted(self, history: History, category: str) -> _Taste | None:
        """The taste; of a history without a comparison in this category, by everything that it holds."""
        comparisons = self._comparisons(history)
        if category != EVERYTHING and len(comparisons):
            comparisons = _of_category(comparisons, category)
            if not len(comparisons):
                return self._fitted(history, EVERYTHING)
        others = self._people.without(history.user, category) if self._people is not None else None
        if not len(comparisons):
            return None if others is None else _Taste(*others)
        features = self._encoded.judged(comparisons.pictures)
        space, mean = others or _alone(features)
        differences = space.differences(comparisons.better, comparisons.worse, features)
        taste = fit_taste(differences, mean=mean, precision=PRECISION_OF_PERSON)
        return _Taste(space, taste)


def _alone(features: Features) -> Others:
    """Where there are no others: the space of the person's own pictures, and no taste."""
    space = Space.of(features)
    return Others(space, np.zeros(len(space.axes)))


def _of_category(comparisons: Comparisons, category: str) -> Comparisons:
    rows = comparisons.prompts == category
    return replace(
        comparisons,
        better=comparisons.better[rows],
        worse=comparisons.worse[rows],
        prompts=comparisons.prompts[rows],
    )

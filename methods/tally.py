"""`tally`: phrases and directions counted in what a user likes, weighed as other people's tastes say; no adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Annotated

import numpy as np
from PIL import Image

from prefbench.api import (
    Context,
    Drawing,
    Features,
    History,
    Judgment,
    Method,
    MethodCard,
    PrefbenchError,
    Profile,
    Request,
    TrainUser,
)
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm

from .shared.candidates import candidate_seeds
from .shared.tallies import Tallied, learn


class Tally(Method):
    """The simplest method that learns tastes: no language model writes, nothing is injected, no picture is optimised.

    When it is set up it learns from some of the suite's train users, or where it has none of the users of the split
    that is drawn, each without whom the picture is for: which phrases pictures show, which directions of a vision
    tower's states matter beside phrases, and what a count of either means for the next choice (`shared.tallies`). Of a
    user it counts likes less dislikes. The phrases that gain most stand in the prompt, the best of each attribute, and
    of n drawings the one of most value is kept, which is how directions without words get in.

    In another world it learns from that world's people, unlike methods with weights of their own.

    Args:
        n: drawings to choose from; each costs as much as a drawing of `prompt-only`.
        least: gain, in log-odds of being preferred, from which a phrase is appended.
        people: learns from at most so many: of more, from every second, third and so on.
        mllm: a registered language model, or a folder of one; only its vision tower is used.
    """

    card = MethodCard(
        name="tally",
        version="1",
        summary="phrases and learned directions counted in likes less dislikes: words in the prompt, best of n",
        training="once",
        trained_on=("picturebook:train",),
        weights=("mini-mllm",),
        encoders=("mini-mllm", "mini-vision"),
        asks_people=True,
    )

    def __init__(
        self, *, n: int = 1, least: float = 0.2, people: int = 100, mllm: Annotated[str, "mllm"] = "mini-mllm"
    ) -> None:
        if n < 1:
            raise PrefbenchError(f"n must be at least 1, got {n}")
        if not 0 <= least < float("inf"):
            raise PrefbenchError(f"least must be 0 or more and finite, got {least}")
        if people < 2:
            raise PrefbenchError(f"people must be at least 2, got {people}")
        self.n, self.least, self.most, self.name = n, least, people, mllm

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` where there are no two people to learn from, or the language model is not here."""
        super().setup(context)
        everybody = list(context.people()) if context.people is not None else []
        if len(everybody) < 2:
            raise PrefbenchError(f"{self.card.name} needs at least two people to learn from")
        self.people = everybody[:: -(-len(everybody) // self.most)]
        self.mllm = load_mllm(self.name, device=str(context.backbone.device))

    @property
    def card_in_use(self) -> MethodCard:
        """Names the language model that was given."""
        if self.name == "mini-mllm":
            return self.card
        return replace(self.card, weights=(self.name,), encoders=(self.mllm.base,))

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the tower and all that is learned from."""
        return self._everybody.digest

    def profile(self, history: History) -> Profile:
        """`words` for the prompt, and the `weights` (features,) of what the user likes, as plain numbers."""
        learned = self._learned(history.user)
        weights = learned.weights(*(self._states(side) for side in (history.liked, history.disliked)))
        words = ", ".join(learned.words(weights, self.least))
        return Profile(history.user, {"words": words, "weights": weights.tolist()})

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        prompts = [", ".join(filter(None, (r.prompt, r.profile.payload["words"]))) for r in requests]
        seeds = [candidate_seeds(request.seed, self.n) for request in requests]
        rounds = [backbone.generate(prompts, [own[k] for own in seeds]) for k in range(self.n)]
        candidates = zip(*rounds, strict=True)
        return [
            Drawing(images[self._best(request, images)], prompt, self.n * backbone.nfe)
            for request, prompt, images in zip(requests, prompts, candidates, strict=True)
        ]

    def _best(self, request: Request, images: Sequence[Image.Image]) -> int:
        """The place of the drawing of most value, the first of equals."""
        if len(images) == 1:
            return 0
        features = self._learned(request.profile.user).eyes.features(_states_of(self.mllm, images))
        return int(np.argmax(features @ np.array(request.profile.payload["weights"])))

    def _learned(self, user: str) -> Tallied:
        """What everybody but a user teaches."""
        if user not in self._names:
            return _learned_from(self._everybody)
        others = [one for one in self.people if one.history.user != user]
        return _learned_from(_People(others, self.mllm))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(person.history.user for person in self.people)

    @cached_property
    def _everybody(self) -> _People:
        return _People(self.people, self.mllm)

    def _states(self, judgments: Sequence[Judgment]) -> Features:
        images = [judgment.picture.load() for judgment in judgments]
        return _states_of(self.mllm, images) if images else np.zeros((0, self._learned("").eyes.mean.size))


class _People:
    """Some people and a tower, equal to others of the same judgments and weights."""

    def __init__(self, people: Sequence[TrainUser], mllm: Mllm) -> None:
        self.people, self.mllm = people, mllm
        told = [(sorted(one.shows.items()), one.history.digest) for one in people]
        self.digest = hashlib.sha256(f"{mllm.digest} {told}".encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _People) and self.digest == other.digest


@lru_cache(maxsize=2)
def _learned_from(people: _People) -> Tallied:
    """Learned once for all instances of a process."""
    return learn(people.people, lambda images: _states_of(people.mllm, images))


def _states_of(mllm: Mllm, images: Sequence[Image.Image]) -> Features:
    return encode_images(mllm, images).states.double().numpy()

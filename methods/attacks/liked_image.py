"""Base class of attacks that return liked images, unchanged or altered."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from PIL import Image

from prefbench.api import Drawing, History, Method, Picture, PrefbenchError, Profile, Request


class LikedImageAttack(Method):
    """An attack that draws nothing and returns images made from the user's liked ones."""

    def profile(self, history: History) -> Profile:
        """Raises `PrefbenchError` for a history without likes."""
        if not history.liked:
            raise PrefbenchError(f"{history.user} has no liked image to copy")
        return Profile(history.user, self.payload([judgment.picture for judgment in history.liked]))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [Drawing(self.alter(r.profile.payload, r.seed), r.prompt) for r in requests]

    def payload(self, liked: Sequence[Picture]) -> Any:
        """The profile's payload."""
        return tuple(liked)

    @abstractmethod
    def alter(self, payload: Any, seed: int) -> Image.Image:
        """The image for one sample's seed, `side` pixels wide and high."""

    @property
    def side(self) -> int:
        """Width and height of the backbone's images in pixels."""
        return self.context.backbone.card.resolution

    def one_of(self, liked: Sequence[Picture], seed: int) -> Image.Image:
        """A liked image chosen by the seed."""
        image = liked[seed % len(liked)].load()
        return image if image.size == (self.side, self.side) else image.resize((self.side, self.side))

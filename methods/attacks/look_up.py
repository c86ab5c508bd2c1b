"""Look-ups: attacks that find the user in a suite that everybody can load, and draw what the truth says they like.

Both import what no honest method may, and say so on their cards. Under opaque names `look-up-id` finds nobody;
`look-up-pictures` finds every published user, and no fresh one.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated

from PIL import Image

from prefbench.api import (
    SPLITS,
    Context,
    Drawing,
    History,
    Method,
    MethodCard,
    PrefbenchError,
    Profile,
    Request,
    Suite,
    Truth,
)
from prefbench.registry import make


class LookUp(Method):
    """Base class: the best picture of a user who is found in the suite, the prompt alone for everybody else."""

    def __init__(self, *, suite: Annotated[str, "suite"] = "picturebook") -> None:
        self.suite = suite

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a suite whose truth is not known."""
        super().setup(context)
        self._known: Suite = make("suite", self.suite)
        if self._known.truth is None:
            raise PrefbenchError(f"{self.card.name} needs a suite whose truth is known, such as picturebook")
        self._truth: Truth = self._known.truth

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the truth's id, which names its reader."""
        return hashlib.sha256(self._truth.id.encode()).hexdigest()

    def profile(self, history: History) -> Profile:
        return Profile(history.user, self.find(history))

    @abstractmethod
    def find(self, history: History) -> str | None:
        """The user's id in the suite; None for one who is not found."""

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        images = backbone.generate([r.prompt for r in requests], [r.seed for r in requests])
        return [
            Drawing(image if r.profile.payload is None else self._best(r), r.prompt, backbone.nfe)
            for r, image in zip(requests, images, strict=True)
        ]

    def _best(self, request: Request) -> Image.Image:
        side = self.context.backbone.card.resolution
        image = self._truth.ideal(request.profile.payload, request.prompt, request.seed)
        return image if image.size == (side, side) else image.resize((side, side))


class LookUpId(LookUp):
    """By the user's name.

    Args:
        suite: whose published users are known.
    """

    card = MethodCard(
        name="look-up-id",
        version="1",
        summary="the true taste of whoever bears a name of the suite, the prompt alone for others",
        uses_liked=False,
        uses_disliked=False,
        control=True,
        attack="asks the suite by the user's id",
        imports=("suite", "truth"),
        weights=("reader",),
    )

    def find(self, history: History) -> str | None:
        return history.user if history.user in self._ids else None

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(user.id for split in SPLITS for user in self._known.users(split))


class LookUpPictures(LookUp):
    """By the pictures of the history, in the splits that are reported.

    Args:
        suite: whose published users are known.
    """

    card = MethodCard(
        name="look-up-pictures",
        version="1",
        summary="the true taste of whoever judged the history's pictures, the prompt alone for others",
        uses_disliked=False,
        control=True,
        attack="asks the suite by the pictures of the history",
        imports=("suite", "truth"),
        weights=("reader",),
    )

    def find(self, history: History) -> str | None:
        owners = [self._owner[j.picture.digest] for j in history.liked if j.picture.digest in self._owner]
        return max(owners, key=owners.count) if owners else None

    @cached_property
    def _owner(self) -> Mapping[str, str]:
        """Digest of a liked picture to who likes it."""
        users = [user.id for split in ("val", "test") for user in self._known.users(split)]
        return {j.picture.digest: user for user in users for j in self._known.history(user).liked}

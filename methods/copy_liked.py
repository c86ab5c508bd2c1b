"""`copy`: hands back an image that the user liked. Wins similarity to likes, ignores the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Method, MethodCard, PrefbenchError
from prefbench.records import Drawing, History, Profile, Request


class CopyLiked(Method):
    """A liked image chosen by the sample's seed, at the backbone's resolution."""

    card = MethodCard(
        name="copy",
        version="1",
        summary="returns one of the user's liked images",
        uses_disliked=False,
        control=True,
    )

    def profile(self, history: History) -> Profile:
        if not history.liked:
            raise PrefbenchError(f"{history.user} has no liked image to copy")
        return Profile(history.user, tuple(judgment.picture for judgment in history.liked))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        size = self.context.backbone.card.resolution
        drawings = []
        for request in requests:
            liked = request.profile.payload
            image = liked[request.seed % len(liked)].load()
            resized = image if image.size == (size, size) else image.resize((size, size))
            drawings.append(Drawing(resized, request.prompt))
        return drawings

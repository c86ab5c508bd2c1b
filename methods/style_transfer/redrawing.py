"""What methods of style transfer share: a style for a user, with which the contents of their cases are redrawn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from prefbench.api import (
    Drawing,
    Features,
    History,
    Judgment,
    Method,
    Picture,
    PrefbenchError,
    Profile,
    Request,
)


class StyleMethod(Method):
    """A method that chooses one style for a user. The profile's payload is that style; None is each content's own."""

    @abstractmethod
    def style(self, history: History) -> Features | None:
        """The style (D,) for whoever has this history; None for each content's own."""

    def profile(self, history: History) -> Profile:
        return Profile(history.user, self.style(history))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        """Raises `PrefbenchError` for a case without a content."""
        backbone = self.context.style_backbone
        contents = [_content(request).load() for request in requests]
        styles = [
            backbone.styles([content])[0] if request.profile.payload is None else request.profile.payload
            for request, content in zip(requests, contents, strict=True)
        ]
        images = backbone.generate(
            [r.prompt for r in requests], [r.seed for r in requests], contents=contents, styles=np.array(styles)
        )
        return [Drawing(image, r.prompt, backbone.nfe) for image, r in zip(images, requests, strict=True)]

    def styles_of(self, judgments: Iterable[Judgment]) -> Features:
        """The style of each judged picture, (N, D); each picture is looked at once."""
        pictures = [judgment.picture for judgment in judgments]
        known = self.__dict__.setdefault("_styles", dict[str, Features]())
        for picture in pictures:
            if picture.digest not in known:
                known[picture.digest] = self._style_of(picture)
        return np.array([known[picture.digest] for picture in pictures])

    def _style_of(self, picture: Picture) -> Features:
        style: Features = self.context.style_backbone.styles([picture.load()])[0]
        return style


def _content(request: Request) -> Picture:
    if request.case.content is None:
        raise PrefbenchError(f"case {request.case.id!r} has no picture to redraw")
    return request.case.content


def judgments_of(history: History) -> list[Judgment]:
    """Likes, then dislikes."""
    return [*history.liked, *history.disliked]

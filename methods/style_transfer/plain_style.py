"""`plain-style`: redraws the content in its own style and ignores the user: what others of its kind must beat."""

from __future__ import annotations

from prefbench.api import Features, History, MethodCard

from .redrawing import StyleMethod


class PlainStyle(StyleMethod):
    """The content as the network draws it when nothing about its style is changed."""

    card = MethodCard(
        name="plain-style",
        version="1",
        summary="the content in its own style, no personalisation",
        uses_liked=False,
        uses_disliked=False,
        backbone_kind="style-transfer",
    )

    def style(self, history: History) -> Features | None:  # noqa: ARG002
        return None

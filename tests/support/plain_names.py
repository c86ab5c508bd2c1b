"""Names that hide nothing, for methods of tests that behave otherwise for one user."""

from __future__ import annotations

from prefbench.run.opaque import OpaqueNames


class PlainNames(OpaqueNames):
    """The suite's ids as they are."""

    def _name(self, kind: str, text: str, part: str = "") -> str:  # noqa: ARG002
        return text

"""Cards are checked field by field when a plug-in is loaded: a wrong one must not wait for the page that reads it."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from textwrap import shorten
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from prefbench.api.errors import PrefbenchError

if TYPE_CHECKING:
    from collections.abc import Hashable


_NAME_LIMIT = 100
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)\s*(?:\.|:|$)", re.IGNORECASE)
"""What Windows takes for a device, whatever follows the dot."""


def check_card(whose: str, card: Any) -> None:
    """Raises `PrefbenchError` for a card with another kind of value in a field, or with an empty name or version.

    Args:
        whose: as messages name the plug-in: `metric 'mine'`.
        card: a frozen data class.
    """
    from pydantic import ValidationError

    for name, adapter in _adapters(cast("Hashable", type(card))).items():
        value = getattr(card, name)
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError as error:
            reasons = dict.fromkeys(one["msg"].replace("Input", "it") for one in error.errors())
            shown = shorten(repr(value), 60)
            raise PrefbenchError(f"{whose}: {name} on its card cannot be {shown}: {' or '.join(reasons)}") from None
    for name in ("name", "version"):
        if not getattr(card, name).strip() or not getattr(card, name).isprintable():
            raise PrefbenchError(f"{whose}: {name} on its card cannot be {shorten(repr(getattr(card, name)), 60)}")
    if not is_name(card.name):
        raise PrefbenchError(
            f"{whose}: name on its card cannot be {shorten(repr(card.name), 60)}: at most {_NAME_LIMIT} characters "
            "without slashes or blanks at the ends, and no name of a device"
        )


def is_name(name: str) -> bool:
    """Whether files and columns can be named after it, on every system."""
    fits = name == name.strip() and len(name) <= _NAME_LIMIT and not name.startswith(".")
    return fits and not set(name) & set("/\\") and not _DEVICE.match(name)


@cache
def _adapters(card: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter

    hints: dict[str, Any] = get_type_hints(card)
    names = [one.name for one in fields(card)]
    return {name: TypeAdapter(hints[name]) for name in names}

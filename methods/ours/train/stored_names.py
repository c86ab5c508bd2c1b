"""Names of recipe fields in version 0.1, so that its cards load and its checkpoints resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FORMER: Mapping[str, str] = {
    "summary_pretraining": "gathering",
    "synthetic_share": "practised",
    "synthetic_users": "practice",
    "freeze_vision": "frozen_eyes",
}
"""Today's name to the former one."""


def current_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A card's recipe under today's names."""
    today = {former: name for name, former in _FORMER.items()}
    return {today.get(name, name): value for name, value in stored.items()}


def recipe_text(recipe: DataclassInstance) -> str:
    """A recipe's `repr` under its former names: the digests that checkpoints hold are taken over this text."""
    values = ", ".join(f"{_FORMER.get(f.name, f.name)}={getattr(recipe, f.name)!r}" for f in fields(recipe))
    return f"{type(recipe).__name__}({values})"

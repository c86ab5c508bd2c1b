"""Recipes of earlier versions: former names of fields, and fields that there were not, so that their cards load and
their checkpoints resume."""

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
_LATER = ("targets", "shown", "dislikes", "reference", "layers", "words", "train_users", "attention_rate")
"""Fields since; their defaults are what was done before there were any."""


def current_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A card's recipe under today's names."""
    today = {former: name for name, former in _FORMER.items()}
    return {today.get(name, name): value for name, value in stored.items()}


def recipe_text(recipe: DataclassInstance) -> str:
    """A recipe's `repr` under its former names, without later fields that have their defaults.

    The digests that checkpoints hold are taken over this text.
    """
    told = [f for f in fields(recipe) if f.name not in _LATER or getattr(recipe, f.name) != f.default]
    values = ", ".join(f"{_FORMER.get(f.name, f.name)}={getattr(recipe, f.name)!r}" for f in told)
    return f"{type(recipe).__name__}({values})"

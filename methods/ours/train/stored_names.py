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

_NEWER: Mapping[str, Any] = {"history": "blocks", "full_histories": 0.0, "sorting": None}
"""Fields of a recipe of questions that version 0.1 did not have, with what it did."""


def completed(stored: Mapping[str, Any], recipe: DataclassInstance) -> dict[str, Any]:
    """A card's recipe under today's names, with the fields that it lacks because they are newer."""
    names = {field.name for field in fields(recipe)}
    return {name: value for name, value in _NEWER.items() if name in names} | current_names(stored)


def current_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A card's recipe under today's names."""
    today = {former: name for name, former in _FORMER.items()}
    return {today.get(name, name): value for name, value in stored.items()}


def recipe_text(recipe: DataclassInstance) -> str:
    """A recipe's `repr` under its former names: the digests that checkpoints hold are taken over this text."""
    values = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    told = [
        f"{_FORMER.get(name, name)}={value!r}"
        for name, value in values.items()
        if name not in _NEWER or value != _NEWER[name]
    ]
    return f"{type(recipe).__name__}({', '.join(told)})"

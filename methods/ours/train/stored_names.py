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
_LATER = (
    "targets",
    "shown",
    "dislikes",
    "reference",
    "layers",
    "words",
    "train_users",
    "attention_rate",
    "initial_scale",
)
"""Fields since; their defaults are what was done before there were any."""

_NEWER: Mapping[str, Any] = {
    "history": "blocks",
    "full_histories": 0.0,
    "describing": None,
    "sorting": None,
    "verdicts": None,
    "pooled": False,
    "ruled": 0.25,
    "populations": 0,
    "shows": 0.1,
}
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
    """A recipe's `repr` under its former names, without later fields that have the values of before.

    The digests that checkpoints hold are taken over this text.
    """
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    later: dict[str, Any] = {field.name: field.default for field in fields(recipe) if field.name in _LATER}
    before = {**_NEWER, **later}
    told = [
        f"{_FORMER.get(name, name)}={value!r}"
        for name, value in values.items()
        if name not in before or value != before[name]
    ]
    return f"{type(recipe).__name__}({', '.join(told)})"

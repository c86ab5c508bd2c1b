"""Trainings and cards of version 0.1, whose recipes had other names for some fields."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from prefbench.files import WEIGHTS
from prefbench.methods.ours.train import injection_recipe, question_recipe, question_stage
from prefbench.methods.ours.train.injection_recipe import InjectionRecipe
from prefbench.methods.ours.train.stage_card import finished_card
from prefbench.methods.ours.train.stored_names import _FORMER, recipe_text

RECIPES = {
    "a24287868c107f1f": question_recipe.WITH_TEACHER,
    "815e4359674f8b9b": question_recipe.PREDECESSOR,
    "b04daffd05bdae8a": injection_recipe.SHIPPED,
    "9100c3456d0f6b31": InjectionRecipe(injection_recipe.FULL.fit, synthetic_users=0, flipped=0.25, picked=0),
}
"""By the beginning of SHA-256 over `repr(recipe)` in version 0.1, which its checkpoints hold."""


@pytest.mark.parametrize("digest", RECIPES)
def test_a_recipe_has_the_text_that_digests_of_checkpoints_were_taken_over(digest: str) -> None:
    assert hashlib.sha256(recipe_text(RECIPES[digest]).encode()).hexdigest().startswith(digest)


def shipped(name: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((WEIGHTS / name / "card.json").read_text())
    return card


def as_before(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe as version 0.1 stored it."""
    return {_FORMER.get(name, name): value for name, value in recipe.items()}


@pytest.mark.parametrize("former", [False, True])
def test_the_card_of_a_finished_training_is_recognised(former: bool, tmp_path: Path) -> None:
    card, path = shipped("mini-mllm"), tmp_path / "card.json"
    path.write_text(json.dumps(card | {"recipe": as_before(card["recipe"])} if former else card))
    found = finished_card(path, question_recipe.WITH_TEACHER, {"suite": "picturebook", "users": 1000})
    assert found is not None
    assert ("gathering" in found["recipe"]) is former
    assert finished_card(path, question_recipe.PREDECESSOR, {}) is None
    assert finished_card(path, question_recipe.WITH_TEACHER, {"users": 999}) is None


def test_a_stored_recipe_is_read_under_its_former_and_its_present_names() -> None:
    stored = as_before(shipped("ours-mini-sd")["recipe"])
    assert "practice" in stored
    assert InjectionRecipe.of_card(stored) == injection_recipe.SHIPPED
    present = json.loads(json.dumps(asdict(injection_recipe.SHIPPED)))
    assert "practice" not in present
    assert InjectionRecipe.of_card(present) == injection_recipe.SHIPPED


def test_a_first_training_goes_on_where_it_was(tmp_path: Path) -> None:
    assert question_stage.pretraining_folder(tmp_path).name == "summary_pretraining"
    (tmp_path / "gathering").mkdir()
    assert question_stage.pretraining_folder(tmp_path).name == "gathering"

"""The card of a training stage: its recipe, its data and its cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefbench.files import write_atomic
from prefbench.registry import load, names
from prefbench.run.environment import hardware, versions
from prefbench.training.figures import as_card
from prefbench.training.loop import Progress

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Card = dict[str, Any]


def make_card(
    method: str, stage: str, recipe: DataclassInstance, progress: Mapping[str, Progress], data: Card, *, options: str
) -> Card:
    """The card of a finished stage; `options` are those of the command line."""
    return {
        "name": f"{method}: {stage}",
        "licence": "Apache-2.0",
        "command": f"prefbench train {method}{options}",
        "data": data,
        "recipe": asdict(recipe),
        "training": {
            name: {
                "steps": one.step,
                "seen": one.images,
                "wall_hours": round(one.wall_s / 3600, 2),
                "core_hours": round(one.core_s / 3600, 2),
                "machine": one.machine,
            }
            for name, one in progress.items()
        },
        "hardware": hardware(),
        "versions": versions(),
    }


def finished_card(path: Path, recipe: DataclassInstance, data: Card) -> Card | None:
    """The stored card of a stage that has run to its end by the same recipe on the same data."""
    if not path.is_file():
        return None
    card: Card = json.loads(path.read_text(encoding="utf-8"))
    same = card["recipe"] == json.loads(json.dumps(asdict(recipe)))
    return card if same and all(card["data"].get(name) == value for name, value in data.items()) else None


def measured(name: str, folder: Path) -> Card:
    """The quality figures of shipped weights; empty for others."""
    if name not in names("weights"):
        return {}
    return {"figures": as_card(load("weights", name)(folder)), "measured_by": f"prefbench check weights {name}"}


def write_card(path: Path, card: Card) -> None:
    """Writes it as JSON."""
    write_atomic(path, json.dumps(card, indent=2) + "\n")

"""`card.toml`: what is known of a method whose images are given. What is not said is said to be unknown."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from prefbench.api import MethodCard, PrefbenchError
from prefbench.api.card_checks import check_card
from prefbench.api.near import unknown
from prefbench.files import read_plain
from prefbench.registry import names
from prefbench.run.given.names import looks_like

_NOT_GIVEN = ("backbones", "control", "attack", "weights")
"""Fields of a method's card that speak of what runs here."""
FIELDS = (*(one.name for one in fields(MethodCard) if one.name not in _NOT_GIVEN), "backbone")
"""Entries of the file; `backbone` says in words what drew the images."""
_STATED = {"backbone": "backbone", "encoders": "encoders", "trained_on": "training data", "selected_by": "selection"}
"""What a reader asks for, as a line names it where it is not said."""
_LIMIT = 10**6


@dataclass(frozen=True)
class GivenCard:
    """The card of a method whose images are given."""

    card: MethodCard
    stated: tuple[str, ...] = ()
    """The entries that the file has."""
    backbone: str = ""
    source: str = field(default="", compare=False)

    def described(self) -> dict[str, Any]:
        """The method in a run's description: what admission reads, and what the file says besides."""
        always = ("name", "version", "summary", "control", "encoders", "selected_by", "trained_on", "weights")
        return {name: value for name, value in asdict(self.card).items() if name in (*always, *self.stated)}

    @property
    def not_stated(self) -> list[str]:
        """What of a method nobody said, in words."""
        return [words for name, words in _STATED.items() if name not in self.stated]


def read_card(path: Path | None, name: str | None, usual: str) -> GivenCard:
    """The card in a file.

    Args:
        path: None where there is none.
        name: what the user calls the method; the card's own name where None.
        usual: its name where neither says one.

    Raises:
        PrefbenchError: the file is no TOML, an entry has another name or kind of value, the card is of another method,
            or the name is or looks like that of a registered method or control.
    """
    said = {} if path is None else _said(path)
    called = usual if name is None else name
    whose = str(path) if path is not None else f"method {called!r}"
    own = said.get("name", called)
    if name is not None and own != name:
        raise PrefbenchError(f"{path} is the card of {own!r}, not of {name!r}: give one of the names")
    backbone = said.pop("backbone", "")
    if not isinstance(backbone, str):
        raise PrefbenchError(f"{path}: backbone says in words what drew the images, got {backbone!r}")
    usual_fields = {"version": "1", "summary": "images given", "licence": "not stated"}
    content = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
    card = MethodCard(**{**usual_fields, **content, "name": own})
    check_card(whose, card)
    _check_name(card.name)
    stated = (*said, *["backbone"] * bool(backbone))
    return GivenCard(card, tuple(key for key in FIELDS if key in stated), backbone, str(path or ""))


def _said(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = tomllib.loads(read_plain(path, _LIMIT).decode("utf-8-sig"))
    except FileNotFoundError:
        raise PrefbenchError(f"there is no card {path}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PrefbenchError(f"{path} is no TOML: {error}") from error
    for name in content:
        if name in _NOT_GIVEN:
            raise PrefbenchError(f"{path}: {name} is for methods that run here; given images are never one's")
        if name not in FIELDS:
            raise PrefbenchError(f"{path}: {unknown('entry', name, list(FIELDS))}")
    return content


def _check_name(name: str) -> None:
    """Raises `PrefbenchError` for a name that a reader could take for a registered one, with or without a control."""
    taken = [*names("method"), *names("control")]
    parts = [name, *name.split("+"), name.partition("(")[0]]
    if twin := next(filter(None, (looks_like(part, taken) for part in parts)), ""):
        what = "method" if twin in names("method") else "control"
        raise PrefbenchError(f"the name {name!r} is that of the {what} {twin!r} of prefbench: give the images another")


def not_stated(description: Mapping[str, Any]) -> list[str]:
    """What nobody said of a run's method, in words; for reports, from the run's description."""
    stated = description.get("given", {}).get("stated", [])
    return [words for name, words in _STATED.items() if name not in stated]

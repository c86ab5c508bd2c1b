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
from prefbench.registry import Role, names
from prefbench.run.given.names import looks_like

_NOT_GIVEN = ("backbones", "attack", "weights")
"""Fields of a method's card that speak of what runs here."""
_PARTS: tuple[Role, ...] = ("method.baseline", "method.crowd")
ROLES = tuple(role.partition(".")[2] for role in _PARTS)
"""What given images can be in the frame of others of the same stated backbone: `baseline` or `crowd`."""
FIELDS = (*(one.name for one in fields(MethodCard) if one.name not in (*_NOT_GIVEN, "control")), "backbone")
"""Entries of the file that describe the method; `backbone` says in words what drew the images."""
FRAME = ("role", "control")
"""Entries that make images part of the frame: no method of their own, or one that was shown changed histories."""
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
    role: str = ""
    """One of `ROLES`, or empty."""
    control: str | None = None
    """The control under which the method of that name drew these images."""
    source: str = field(default="", compare=False)

    @property
    def shown(self) -> str:
        """The method and its control as messages name them."""
        return self.card.name if self.control is None else f"{self.card.name} + {self.control}"

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
    frame = {key: said.pop(key, None) for key in FRAME}
    usual_fields = {"version": "1", "summary": "images given", "licence": "not stated"}
    content = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
    card = MethodCard(**{**usual_fields, **content, "name": own})
    check_card(whose, card)
    _check_name(card.name)
    _check_frame(path, frame, backbone, named="name" in said or name is not None)
    stated = (*said, *["backbone"] * bool(backbone))
    return GivenCard(
        card, tuple(key for key in FIELDS if key in stated), backbone, **_framed(frame), source=str(path or "")
    )


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
        if name not in (*FIELDS, *FRAME):
            raise PrefbenchError(f"{path}: {unknown('entry', name, [*FIELDS, *FRAME])}")
    return content


def _check_frame(path: Path | None, frame: Mapping[str, Any], backbone: str, *, named: bool) -> None:
    """Raises `PrefbenchError` for a role or control that is none, and for one that lacks what it is compared by."""
    allowed = {"role": list(ROLES), "control": names("control")}
    said = {key: value for key, value in frame.items() if value is not None}
    for key, value in said.items():
        if value not in allowed[key]:
            raise PrefbenchError(f"{path}: {unknown(key, str(value), allowed[key])}")
    if len(said) > 1:
        raise PrefbenchError(f"{path}: role and control exclude each other: a control is of a method, a role of none")
    if said and not backbone:
        raise PrefbenchError(f"{path}: {', '.join(said)} holds for images of one backbone alone: say which, backbone")
    if "control" in said and not named:
        raise PrefbenchError(f"{path}: control is of a method: say its name, that of the images without the control")


def _framed(frame: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": frame["role"] or "", "control": frame["control"]}


def _check_name(name: str) -> None:
    """Raises `PrefbenchError` for a name that a reader could take for a registered one, with or without a control."""
    registered = [*names("method"), *names("control")]
    parts = [name, *name.split("+"), name.partition("(")[0]]
    if twin := next(filter(None, (looks_like(part, registered) for part in parts)), ""):
        what = "method" if twin in names("method") else "control"
        raise PrefbenchError(f"the name {name!r} is that of the {what} {twin!r} of prefbench: give the images another")


def not_stated(description: Mapping[str, Any]) -> list[str]:
    """What nobody said of a run's method, in words; for reports, from the run's description."""
    stated = description.get("given", {}).get("stated", [])
    return [words for name, words in _STATED.items() if name not in stated]

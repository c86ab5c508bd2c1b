"""`run.json`: what a run is, with its format and a digest over itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le, MinLen

from prefbench.api import ALL, PrefbenchError
from prefbench.api.stored import OPEN, Name, Text
from prefbench.files import read_plain
from prefbench.run.journal import Owner
from prefbench.run.lines import fault, sha256
from prefbench.run.plan import RunSpec
from prefbench.run.stamps import canonical, stamped, unstamped

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_BYTES = 2**28
ADVICE = "delete it and run the same command again"


def description_text(content: Mapping[str, Any]) -> str:
    """The text of `run.json`."""
    return json.dumps(stamped(content), indent=2, sort_keys=True) + "\n"


def read_description(path: Path) -> dict[str, Any]:
    """The content of `run.json`, its format included.

    Raises:
        FileNotFoundError: there is none.
        PrefbenchError: it is damaged, was edited, or is of a later format.
    """
    from pydantic import ValidationError

    data = read_plain(path, _BYTES)
    try:
        content = unstamped(path, data)
        _adapter().validate_json(data)
    except ValidationError as error:
        raise PrefbenchError(f"{path} is damaged ({fault(error)}); {ADVICE}") from None
    except ValueError as error:
        raise PrefbenchError(f"{path} is damaged ({error}); {ADVICE}") from None
    if ALL in content["kinds"].values():
        raise PrefbenchError(f"{path} is damaged (kinds: {ALL!r} is no kind of user but all of them); {ADVICE}")
    return content


def owner_of(description: Mapping[str, Any]) -> Owner:
    """What the other files of the folder must agree with. Batches are no part of it: they change no picture."""
    spec = {name: value for name, value in description["spec"].items() if name != "batch"}
    return Owner(description["format"], sha256(canonical(spec))[:16])


@dataclass(frozen=True)
class _Card:
    """What is read of the method's card; the rest is for people."""

    __pydantic_config__ = OPEN

    name: Annotated[Name, MinLen(1)]
    version: Name = ""
    control: bool = False
    encoders: tuple[Name, ...] = ()
    imports: tuple[Name, ...] = ()
    selected_by: tuple[Name, ...] = ()
    trained_on: tuple[Name, ...] = ()


@dataclass(frozen=True)
class _Reached:
    """As `reach.Reach`."""

    __pydantic_config__ = OPEN

    file: Name
    line: int
    what: Text


@dataclass(frozen=True)
class _Environment:
    __pydantic_config__ = OPEN

    versions: dict[str, Any] | None = None
    hardware: dict[str, Any] | None = None
    code: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Description:
    __pydantic_config__ = OPEN

    spec: RunSpec
    method: _Card
    kinds: dict[Name, Name]
    planned: Annotated[int, Ge(0), Le(2**40)]
    command: Text = ""
    represents: bool = True
    reached: tuple[_Reached, ...] = ()
    unread_code: tuple[Name, ...] = ()
    backbone: dict[str, Any] = field(default_factory=dict)
    environment: _Environment = field(default_factory=_Environment)


@cache
def _adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(_Description)

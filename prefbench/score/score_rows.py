"""What a file of scores holds: its rows, its header, and a scorer's figures in it, each with what checks it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from prefbench.api import ScoreHeader
from prefbench.api.stored import STRICT, Count, Name, Number

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One stored value. `key` is a sample's key, a user, or a key of a set-level value (`score.sets`)."""

    __pydantic_config__ = STRICT

    key: Name
    column: Name
    value: Number | None
    n: Count | None = None
    """The number of images behind a set-level value."""

    def to_json(self) -> dict[str, Any]:
        """The row as a line of the file; without `n` where there is none."""
        content = {"key": self.key, "column": self.column, "value": self.value}
        return content if self.n is None else {**content, "n": self.n}


@dataclass(frozen=True)
class _Figure:
    value: Number | None
    low: Number | None
    high: Number | None


@dataclass(frozen=True)
class _Figures:
    """What is read of a scorer's figures (`ScorerFigures.to_json`)."""

    admitted: bool
    within_user_accuracy: _Figure
    best_possible: _Figure
    population: _Figure


@cache
def rows_adapter() -> TypeAdapter[list[dict[str, Any]]]:
    """Checks rows as `ScoreRow.to_json` writes them, and gives them as they are: objects would take twice as long."""
    from typing import NotRequired

    from pydantic import TypeAdapter
    from typing_extensions import TypedDict

    hints = get_type_hints(ScoreRow, include_extras=True)
    fields: dict[str, Any] = {**hints, "n": NotRequired.__getitem__(hints["n"])}
    line = cast("Any", TypedDict)("line", fields)
    line.__pydantic_config__ = STRICT
    return cast("TypeAdapter[list[dict[str, Any]]]", TypeAdapter(cast("Any", GenericAlias(list, line))))


@cache
def header_adapter() -> TypeAdapter[ScoreHeader]:
    """Checks the header of a file of scores."""
    from pydantic import TypeAdapter

    return TypeAdapter(ScoreHeader)


@cache
def figures_adapter() -> TypeAdapter[_Figures]:
    """Checks a scorer's figures in it."""
    from pydantic import TypeAdapter

    return TypeAdapter(_Figures)

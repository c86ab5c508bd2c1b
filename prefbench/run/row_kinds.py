"""The rows of a run folder's files: what each kind holds, and how those of format 1 are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from prefbench.api import Sample
from prefbench.api.stored import STRICT, Count, Digest, Name, Size, Text

if TYPE_CHECKING:
    from pydantic import TypeAdapter

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """What it cost to make one profile."""

    __pydantic_config__ = STRICT

    user: Name
    history: Digest
    seconds: Size
    bytes: Count
    trained_parameters: Count
    peak_memory_bytes: Count
    status: Literal["ok", "failed"]
    error: Text | None = None
    payload: Digest | None = None
    """SHA-256 of the stored payload; None where none is stored, and in format 1."""


@dataclass(frozen=True, slots=True)
class RepresentationRow:
    """How the collection of one user's states ended."""

    __pydantic_config__ = STRICT

    user: Name
    key: Name
    seconds: Size
    status: Literal["ok", "failed"]
    error: Text | None = None
    arrays: Digest | None = None
    """SHA-256 of the stored file; None where there is none, and in format 1."""


@dataclass(frozen=True, slots=True)
class StartRow:
    """When, in which batches and by which code a run was begun or continued."""

    __pydantic_config__ = STRICT

    time: Name
    batch: Count | None
    """Samples that were drawn together; None in format 1."""
    commit: Name | None
    dirty: bool | None
    versions: dict[Name, Name | None]


@dataclass(frozen=True)
class RowKind(Generic[R]):
    """A kind of row."""

    row: type[R]
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Names of format 1 to today's."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of its fields."""
        return tuple(one.name for one in fields(self.row))  # type: ignore[arg-type]

    @cached_property
    def adapter(self) -> TypeAdapter[list[R]]:
        """Checks a list of such rows."""
        from pydantic import TypeAdapter

        return TypeAdapter(list[self.row])  # type: ignore[name-defined]

    def plain(self, row: R) -> dict[str, Any]:
        """The row as plain data."""
        return {name: getattr(row, name) for name in self.names}

    def modern(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of format 1 with today's names; other fields are those of another version."""
        today = {self.renamed.get(name, name): value for name, value in row.items()}
        return {name: value for name, value in today.items() if name in self.names}


SAMPLES = RowKind(Sample, {"evaluations": "nfe"})
PROFILES = RowKind(ProfileRow)
REPRESENTATIONS = RowKind(RepresentationRow)
STARTS = RowKind(StartRow)

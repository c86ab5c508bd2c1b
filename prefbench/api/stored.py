"""What the files of run folders may hold: their format, and the kinds of texts and numbers, as pydantic reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le, MaxLen

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

FORMAT = 2
"""The format of the files that are written now. Format 1, of versions 0.1 and 0.2, has neither format nor digests."""
STRICT = {"strict": True, "extra": "forbid"}
"""The `__pydantic_config__` of a stored record: no other type is taken for another, no other field is there."""

OPEN = {"strict": True}
"""The same of a record that may have other fields, which are not read."""


@dataclass(frozen=True)
class Matching:
    """A text that a regular expression matches."""

    expression: str

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.str_schema(pattern=self.expression, strict=True)


@dataclass(frozen=True)
class Finite:
    """A number that is neither infinite nor NaN, from `least` to `greatest`."""

    least: float
    greatest: float = 1e100

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.float_schema(allow_inf_nan=False, ge=self.least, le=self.greatest, strict=True)


Name = Annotated[str, MaxLen(2_000)]
"""A name, an id, a key."""
Text = Annotated[str, MaxLen(200_000)]
"""A prompt or an error."""
Digest = Annotated[str, Matching("^[0-9a-f]{64}$")]
Count = Annotated[int, Ge(0), Le(2**63 - 1)]
Number = Annotated[float, Finite(-1e100)]
"""A finite number that can still be squared."""
Size = Annotated[float, Finite(0.0)]
"""A time, or another number from 0 on."""

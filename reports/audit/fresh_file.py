"""`fresh.json`: what an audit found for fresh users, read with its digest and its fields checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.files import read_plain
from prefbench.run.stamps import unstamped

_BYTES = 2**20


@dataclass(frozen=True)
class _Row:
    """One metric for the run's own users (`first`) and for fresh ones (`second`)."""

    metric: str
    gain: float
    p: float | None
    alike: bool
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class _Fault:
    check: str
    detail: str


@dataclass(frozen=True)
class _Content:
    users: int
    population: int
    folder: str
    samples: str
    failed: float
    """The share of samples for fresh users without a picture."""
    failed_of_own: float
    rows: Sequence[_Row]
    faults: Sequence[_Fault]
    """What checks of the pictures of fresh users found."""
    seconds: int
    date: str


def stored(path: Path) -> dict[str, Any] | None:
    """The content of a `fresh.json`; None where there is none.

    Raises:
        PrefbenchError: the file is not as it was written, or is of a version that did not look at all this.
    """
    from pydantic import TypeAdapter

    try:
        content = unstamped(path, read_plain(path, _BYTES))
        if content.pop("format") == 1:
            raise ValueError("it has no digest")
        checked = asdict(TypeAdapter(_Content).validate_python(content))
        if not checked["rows"]:
            raise ValueError("it has no rows")
    except FileNotFoundError:
        return None
    except ValueError as error:
        reason = " ".join(str(error).split())[:120]
        raise PrefbenchError(
            f"{path} is damaged or of an earlier version ({reason}); audit with --fresh again"
        ) from None
    return checked

"""One finished image as a table or a folder names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GivenImage:
    """A picture file, and what is said of it; a text is empty, and a number None, where nothing is said."""

    path: Path
    origin: str
    """As messages name it: `out.csv row 3`, or the file within the folder."""
    user: str = ""
    prompt: str = ""
    case: str = ""
    sample: int | None = None
    seed: int | None = None
    seconds: float | None = None
    prompt_used: str | None = None
    stray: str = ""
    """Why it is of no case, where its name alone says so."""
    fault: str = ""
    """Why the file is not read, such as a link that leads out of the folder."""
    absent: bool = False
    """Whether there is no such file."""


@dataclass(frozen=True)
class GivenImages:
    """What a table or a folder gives."""

    source: Path
    images: tuple[GivenImage, ...]
    unused: tuple[str, ...] = ()
    """Columns and files that are passed over, in words."""

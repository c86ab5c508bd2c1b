"""The two rows of a choice between two pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut, Stored

Found = Path | bytes | Stored | LeftOut
"""A picture, or why there is none."""


def choice(user: str, liked: Found, disliked: Found, **columns: Any) -> Iterator[Judged]:
    """A liked and a disliked row; both are left out where one has no picture.

    Args:
        user: whose choice it is.
        liked: the chosen picture.
        disliked: the other one.
        columns: further ones of `JudgedPicture`, `pair` among them, equal for both.
    """
    if isinstance(liked, LeftOut):
        yield from (liked, liked)
    elif isinstance(disliked, LeftOut):
        yield from (disliked, disliked)
    else:
        yield JudgedPicture(liked, user, True, **columns)
        yield JudgedPicture(disliked, user, False, **columns)

"""When Python looks for objects that refer to each other in circles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 200_000
"""New objects after which to look: Python's own 700 would take a third of the time in which so many rows are made."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Puts that search off while rows are made, which form no circles: it goes through all that there are, again and
    again. Where plug-ins make something else between them, garbage is still found.
    """
    before = gc.get_threshold()
    gc.set_threshold(before[0] and _YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)

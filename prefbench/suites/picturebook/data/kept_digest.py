"""The digest of picturebook's users, kept in the cache folder: it takes seconds, since all of them have to judge."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from prefbench.api import PrefbenchError
from prefbench.files import cache_folder, read_plain, write_atomic

_FOLDERS = ("data", "users", "world")
"""Whose code and data judgments follow from, within the suite's folder."""
_LENGTH = 64


def kept_digest(settings: str, digest: Callable[[], str]) -> str:
    """What `digest` returns, or what it returned on this machine by the same code for the same settings.

    A kept digest carries a sum over itself, settings and code; one that does not fit is made again.
    """
    path = cache_folder() / "suites" / f"picturebook-{_sum(settings)[:16]}.txt"
    with suppress(FileNotFoundError, PrefbenchError):
        text = read_plain(path, 2 * _LENGTH).decode(errors="replace")
        kept, seal = text[:_LENGTH], text[_LENGTH:]
        if seal == _sum(settings, kept):
            return kept
    made = digest()
    with suppress(PrefbenchError, OSError):  # a folder that cannot be written costs time and nothing else
        write_atomic(path, made + _sum(settings, made))
    return made


def _sum(settings: str, digest: str = "") -> str:
    return hashlib.sha256("\n".join((settings, _code(), digest)).encode()).hexdigest()


@cache
def _code() -> str:
    """Names the code, the data and the libraries that judgments follow from."""
    suite = Path(__file__).parents[1]
    files = sorted(path for name in _FOLDERS for path in (suite / name).iterdir() if path.is_file())
    sums = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return "\n".join((*sums, np.__version__, platform.python_version(), platform.machine()))

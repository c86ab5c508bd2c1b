"""Texts of a run without what belongs to one machine alone: the folders of paths."""

from __future__ import annotations

import re
from typing import Any

from ..shared.published import portable

_FOLDERS = re.compile(r"(?<![\w./])(?:~\w*|\.{1,2})?/(?:[^\s/'\"`<>|]+/)+")
_WINDOWS = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\'\"`<>|]+\\)*")
_FILE = re.compile(r"\bfile:/+")


def portable_text(text: str) -> str:
    """The text with the last part alone of each path that begins at a root, a home or a dot; addresses stay.

    Example:
        >>> portable_text("OSError: /home/me/weights/a.bin, see https://example.org/a/b")
        'OSError: a.bin, see https://example.org/a/b'
    """
    return _FOLDERS.sub("", _WINDOWS.sub("", _FILE.sub("/", text)))


def portable_command(command: str) -> str:
    """A command, or a call from Python, that anybody can repeat."""
    try:
        return portable_text(portable(command))
    except ValueError:  # quotes without an end
        return portable_text(command)


def portable_value(value: Any) -> Any:
    """Plain data of any depth with every text in it made portable."""
    if isinstance(value, str):
        return portable_text(value)
    if isinstance(value, dict):
        return {str(name): portable_value(one) for name, one in value.items()}
    return [portable_value(one) for one in value] if isinstance(value, list | tuple) else value

"""Texts of a run without what belongs to one machine alone: the folders of paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..shared.published import portable

_FOLDERS = re.compile(r"(?<![\w./])(?:~\w*|\.{1,2})?/(?:[^\s/'\"`<>|]+/)+")
_WINDOWS = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\'\"`<>|]+\\)*")
_WHOLE = re.compile(r"(?:file:/+|~\w*/|\.{0,2}/|[A-Za-z]:[\\/])[^\n:]*$")
"""A path and nothing else."""
_PARAMETER = re.compile(r"(?<==)[^,()]+")
_FILE = re.compile(r"\bfile:/+")


def portable_text(text: str) -> str:
    """The text with the last part alone of each path that begins at a root, a home or a dot; addresses stay.

    A text that is a path as a whole may have blanks in it; within other words a blank ends a path.

    Example:
        >>> portable_text("OSError: /home/me/weights/a.bin, see https://example.org/a/b")
        'OSError: a.bin, see https://example.org/a/b'
        >>> portable_text("/home/John Doe/a.bin")
        'a.bin'
    """
    if _WHOLE.match(text):
        return re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    return _FOLDERS.sub("", _WINDOWS.sub("", _FILE.sub("/", text)))


def portable_labels(labels: Sequence[str]) -> dict[str, str]:
    """Each label of a run with its parameters made portable; numbered where two would become the same.

    Example:
        >>> portable_labels(["ours (weights=/home/me/a.pt)", "ours (weights=/home/you/a.pt)"]).values()
        dict_values(['ours (weights=a.pt)', 'ours (weights=a.pt) 2'])
    """
    names: dict[str, str] = {}
    for label in labels:
        own = portable_text(_PARAMETER.sub(lambda match: portable_text(match[0]), label))
        candidates = (own, *(f"{own} {i}" for i in range(2, len(labels) + 1)))
        names[label] = next(name for name in candidates if name not in names.values())
    return names


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

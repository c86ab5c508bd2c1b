"""Whole JSON files with their format and a digest over themselves: `run.json` and `summary.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.api.stored import FORMAT
from prefbench.run.lines import sha256

_STAMP = "sha256"


def stamped(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with its format and its digest."""
    described = {**content, "format": FORMAT}
    return {**described, _STAMP: _digest(described)}


def unstamped(path: Path, data: bytes) -> dict[str, Any]:
    """The content of a file as `stamped` gave it, its format included: 1 where it carries none.

    Raises:
        PrefbenchError: it is of a later format.
        ValueError: it is no JSON, or was edited; the message says so.
    """
    from pydantic_core import from_json

    try:
        content = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {str(error).partition(' at line ')[0]}") from error
    if not isinstance(content, dict):
        raise ValueError("it holds no fields")
    check_format(path, stated := content.get("format", 1))
    if (stated == 1) == (_STAMP in content):
        raise ValueError("it has a digest and no format, or a format and no digest")
    if stated > 1 and content[_STAMP] != _digest(content):
        raise ValueError("it was edited: its digest does not fit")
    return {**content, "format": stated}


def check_format(path: Path, stated: Any) -> None:
    """Raises `PrefbenchError` for a later format, `ValueError` for what is none."""
    if not isinstance(stated, int) or isinstance(stated, bool) or stated < 1:
        raise ValueError("its format is no number from 1 on")
    if stated > FORMAT:
        raise PrefbenchError(f"{path} is of format {stated}; this prefbench reads up to {FORMAT}")


def _digest(content: Mapping[str, Any]) -> str:
    unsigned = {name: value for name, value in content.items() if name != _STAMP}
    return sha256(canonical(unsigned))


def canonical(content: Any) -> bytes:
    """Plain data as JSON that is the same for equal data."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

"""Data files of the page: scripts that call one function, since a page without a server cannot fetch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefbench.api.grids import printable
from prefbench.files import write_atomic

FORMAT = 1
"""Raised whenever a field of the data changes its meaning."""


def write_data(folder: Path, name: str, content: Mapping[str, Any]) -> Path:
    """Writes `name.js` and returns its path. Raises `ValueError` for a number that is infinite or NaN."""
    path = folder / f"{name}.js"
    write_atomic(path, f'prefbench_receive("{name}", {as_script(content)});\n')
    return path


def as_script(content: Any) -> str:
    """Plain data as a JavaScript string that holds JSON, in ASCII, without what could end a script element.

    A string and not an object, in which the name `__proto__` would be no name.

    Example:
        >>> as_script({"a": "</script>"})
        '\\'{"a":"\\\\\\\\u003c/script>"}\\''
    """
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def shown(content: Any) -> Any:
    """Plain data of any depth whose texts, names of fields included, hold no control or direction characters."""
    if isinstance(content, str):
        return printable(content, "\n")
    if isinstance(content, Mapping):
        return {shown(name): shown(value) for name, value in content.items()}
    return [shown(value) for value in content] if isinstance(content, list | tuple) else content

"""Data files of the page: scripts that call one function, since a page without a server cannot fetch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefbench.files import write_atomic

FORMAT = 1
"""Raised whenever a field of the data changes its meaning."""


def write_data(folder: Path, name: str, content: Mapping[str, Any]) -> Path:
    """Writes `name.js` and returns its path. Raises `ValueError` for a number that is infinite or NaN."""
    path = folder / f"{name}.js"
    write_atomic(path, f"prefbench_receive({as_script(name)}, {as_script(content)});\n")
    return path


def as_script(content: Any) -> str:
    """Plain data as a JavaScript expression in ASCII, without what could end a script element.

    Example:
        >>> as_script({"a": "</script>é"})
        '{"a":"\\\\u003c/script>\\\\u00e9"}'
    """
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")

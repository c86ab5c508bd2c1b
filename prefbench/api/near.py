"""What was meant by a path or name that is nearly right. Nothing here runs what it looks at."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from prefbench.api.errors import PrefbenchError
from prefbench.files import read_plain


def is_file(path: Path) -> bool:
    """Whether there is such a file; False also for what no file system takes as a path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(text: str) -> bool:
    """Whether a text is the path of a folder; False also for what no file system takes as a path."""
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):
        return False


def classes_in(path: Path) -> list[str]:
    """The classes that a file seems to define; it is not run."""
    try:
        source = read_plain(path, limit=10**6).decode()
        return [one.name for one in ast.parse(source).body if isinstance(one, ast.ClassDef)] or ["Class"]
    except (OSError, ValueError, SyntaxError, RecursionError, PrefbenchError):
        return ["Class"]


def near_file(path: Path) -> str:
    """The file of nearly that name in the same folder, as the end of a message."""
    with suppress(OSError, ValueError):
        beside = {one.name.lower(): one for one in path.parent.glob("*.py")}
        near = difflib.get_close_matches(path.name.lower(), beside, n=1)
        return f"; did you mean {beside[near[0]]}?" if near else ""
    return ""


def unknown(what: str, given: str, allowed: list[str], aliases: Mapping[str, str] = MappingProxyType({})) -> str:
    """The line for a name that is not known: what was given, the nearest match in either case, what is allowed.

    `aliases` are names that are not allowed, each with the allowed one that it stands for.
    """
    names = {name.lower(): meant for name, meant in [*aliases.items(), *zip(allowed, allowed, strict=True)]}
    near = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.5)
    hint = f"; did you mean {names[near[0]]!r}?" if near else ""
    return f"unknown {what} {shortened(given)!r}{hint} (known: {', '.join(allowed)})"


def shortened(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"

"""The card of a folder: its name, what `suite.toml` says of it, and what it is run and measured with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError, SuiteCard
from prefbench.api.near import unknown
from prefbench.files import read_plain
from prefbench.registry import names
from prefbench.suites.folder.encoders import choose

DESCRIPTION = "suite.toml"
FIELDS = ("name", "version", "summary", "licence", "source")
METRICS = ("personal-gain", "preference", "clip-score", "fid", "kid", "clip-i", "diversity", "copy-rate")


def card_of(folder: Path) -> SuiteCard:
    """The card. Raises `PrefbenchError` for a `suite.toml` that is none."""
    said = _said(folder / DESCRIPTION)
    source = f" ({said['source']})" if "source" in said else ""
    return SuiteCard(
        name=_own_name(said.get("name", folder.resolve().name)),
        version=said.get("version", "1"),
        summary=said.get("summary", "judged pictures of a folder") + source,
        licence=said.get("licence", "not stated"),
        backbone="mini-sd",
        metrics=METRICS,
        extractors=choose().extractors,
    )


def _own_name(name: str) -> str:
    """A name that no registered suite has: what was measured on such a suite says nothing of a folder."""
    return f"{name} (folder)" if name in names("suite") else name


def _said(path: Path) -> dict[str, str]:
    try:
        content: dict[str, Any] = tomllib.loads(read_plain(path, 10**6).decode())
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PrefbenchError(f"{path} is no TOML: {error}") from error
    for name, value in content.items():
        if name not in FIELDS:
            raise PrefbenchError(f"{path}: {unknown('entry', name, list(FIELDS))}")
        if not isinstance(value, str) or not value.strip():
            raise PrefbenchError(f"{path}: {name} is a text, got {value!r}")
    return content

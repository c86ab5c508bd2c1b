"""Weights on this disk: where they lie, how to get those that do not, and their digest. Imports no torch.

Nothing here asks the network: a repository of the hub counts as present when its snapshot lies in the local cache.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.registry import names

_HUB_ID = re.compile(r"(?!.*(?:--|\.\.))\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?")


@dataclass(frozen=True)
class Absence:
    """What of a model's weights is not here, and the command that gets it."""

    what: str
    command: str

    def __str__(self) -> str:
        return f"{self.what}; get it with: {self.command}"


def is_hub_id(source: str) -> bool:
    """Whether a card's source names a repository of the hub and not a folder."""
    return _HUB_ID.fullmatch(source) is not None and not Path(source).is_dir()


def locate(source: str, revision: str | None, marker: str) -> Path | None:
    """The folder that holds the file `marker`: the source itself, or the hub's snapshot in the local cache."""
    if is_hub_id(source):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(source, marker, revision=revision)
        return Path(found).parent if isinstance(found, str) else None
    folder = Path(source)
    return folder if (folder / marker).is_file() else None


def absent(source: str, command: str) -> Absence:
    """Of weights that are not here at all."""
    what = "there is no local copy of" if is_hub_id(source) else "there are no weights in"
    return Absence(f"{what} {source}", command)


def download(source: str, revision: str | None, include: Sequence[str], exclude: Sequence[str] = ()) -> str:
    """The command that fetches the files of a repository that fit the patterns."""
    # Repositories hold models several times over; without patterns the command would fetch all of them.
    patterns = [f'--include "{pattern}"' for pattern in include] + [f'--exclude "{pattern}"' for pattern in exclude]
    return " ".join([f"hf download {source} --revision {revision or 'main'}", *patterns])


def make(name: str, otherwise: str) -> str:
    """The command that makes the weights of a miniature; `otherwise` for a folder that prefbench trains nothing for."""
    return f"prefbench train {name} --install" if name in names("trainer") else otherwise


def digest(files: Mapping[Path, Iterable[Path]], *, contents: Mapping[Path, bytes] | None = None) -> str:
    """SHA-256 over the files of one folder or several: their names, relative to it and sorted, and contents.

    Args:
        files: each folder with the files that count.
        contents: what is hashed in place of a file's own content.
    """
    total, given = hashlib.sha256(), contents or {}
    for folder, held in files.items():
        for path in sorted(held):
            total.update(f"{path.relative_to(folder).as_posix()} ".encode())
            total.update(hashlib.sha256(given[path]).digest() if path in given else _file_digest(path))
    return total.hexdigest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The object in a file of a model's folder; `what` the folder should be, for the message: `a backbone`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PrefbenchError(f"{path} cannot be read ({error}); {what} is a save_pretrained folder") from error
    if not isinstance(content, dict):
        raise PrefbenchError(f"{path} holds no JSON object; {what} is a save_pretrained folder")
    return content

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

from prefbench.api import PrefbenchError, WeightFiles
from prefbench.files import read_plain

_JSON_LIMIT = 2**26
"""Bytes of a configuration or an index at most."""
_MOST = 1000
"""Layers, or entries of one list, of a model at most: its configuration alone could make loading build without end."""
_REPEATED = re.compile(r"layers|blocks|depth")
_HUB_ID = re.compile(r"(?!.*(?:--|\.\.))\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?")


@dataclass(frozen=True)
class MissingWeights:
    """Missing weights of a model, and the command that gets them."""

    what: str
    command: str

    def __str__(self) -> str:
        return f"{self.what}; get it with: {self.command}"


def is_hub_id(source: str) -> bool:
    """Whether a card's source names a repository of the hub and not a folder."""
    return _HUB_ID.fullmatch(source) is not None and not Path(source).is_dir()


def locate(weights: WeightFiles, *, cache: Path | None = None) -> Path | MissingWeights:
    """The folder that holds all files of `weights`: the source itself, or the hub's snapshot in the local cache.

    Args:
        cache: of the hub, in place of the default one.
    """
    folder = _snapshot(weights, cache) if is_hub_id(weights.source) else Path(weights.source)
    if folder is None:
        return MissingWeights(f"there is no local copy of {weights.source}", command(weights))
    missing = [pattern for pattern in weights.files if not files(folder, [pattern])]
    if not missing:
        return folder
    if is_hub_id(weights.source) or files(folder, weights.files):
        return MissingWeights(f"{weights.source} has no {', '.join(missing)} here", command(weights))
    return MissingWeights(f"there are no weights in {weights.source}", command(weights))


def require(whose: str, weights: WeightFiles, *, cache: Path | None = None) -> Path:
    """`locate`, where what is missing is an error. Raises what `require_all` raises."""
    return require_all(whose, [weights], cache=cache)[0]


def require_all(whose: str, weights: Sequence[WeightFiles], *, cache: Path | None = None) -> list[Path]:
    """The folders of all weights, as `locate` finds them.

    Args:
        whose: as messages name it: `scorer 'pickscore'`.

    Raises:
        PrefbenchError: files are missing; the line names the commands that get them.
    """
    folders = [locate(one, cache=cache) for one in weights]
    missing = [folder for folder in folders if isinstance(folder, MissingWeights)]
    if missing:
        raise PrefbenchError(f"{whose}: {together(missing)}")
    return [folder for folder in folders if isinstance(folder, Path)]


def together(missing: Sequence[MissingWeights]) -> MissingWeights:
    """Everything that is missing, as one message: each command appears once."""
    what, commands = (dict.fromkeys(values) for values in zip(*((m.what, m.command) for m in missing), strict=True))
    return MissingWeights(", ".join(what), " && ".join(commands))


def files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files in a folder that fit any of the patterns, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def size(paths: Iterable[Path]) -> int:
    """Bytes on this disk."""
    return sum(path.stat().st_size for path in paths)


def command(weights: WeightFiles) -> str:
    """The command that gets the files."""
    if is_hub_id(weights.source):
        return download_command(weights.source, weights.revision, weights.files)
    if weights.trainer is not None:
        return train_command(weights.trainer)
    return weights.command or f"put {', '.join(weights.files)} into {weights.source}"


def download_command(source: str, revision: str | None, include: Sequence[str], exclude: Sequence[str] = ()) -> str:
    """The command that fetches the files of a repository that fit the patterns."""
    # Repositories hold models several times over; without patterns the command would fetch all of them.
    patterns = [f'--include "{pattern}"' for pattern in include] + [f'--exclude "{pattern}"' for pattern in exclude]
    return " ".join([f"hf download {source} --revision {revision or 'main'}", *patterns])


def train_command(trainer: str) -> str:
    """The command that trains shipped weights again and installs them."""
    return f"prefbench train {trainer} --install"


def digest(files: Mapping[Path, Iterable[Path]], *, contents: Mapping[Path, bytes] | None = None) -> str:
    """SHA-256 over the files of one folder or several: their names, relative to it and sorted, and contents.

    Args:
        files: each folder with the files that count.
        contents: what is hashed in place of a file's own content.
    """
    total, replaced = hashlib.sha256(), contents or {}
    for folder, paths in files.items():
        for path in sorted(paths):
            total.update(f"{path.relative_to(folder).as_posix()} ".encode())
            total.update(hashlib.sha256(replaced[path]).digest() if path in replaced else _file_digest(path))
    return total.hexdigest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def _snapshot(weights: WeightFiles, cache: Path | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # One pattern is enough to find the folder: `locate` names the files that are missing in it.
        return Path(
            snapshot_download(
                weights.source,
                revision=weights.revision,
                cache_dir=cache,
                local_files_only=True,
                allow_patterns=weights.files[0],
            )
        )
    except LocalEntryNotFoundError:
        return None


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The object in a file of a model's folder; `what` the folder should be, for the message: `a backbone`."""
    try:
        content = json.loads(read_plain(path, _JSON_LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        raise PrefbenchError(f"{path} cannot be read ({error}); {what} is a save_pretrained folder") from error
    if not isinstance(content, dict):
        raise PrefbenchError(f"{path} holds no JSON object; {what} is a save_pretrained folder")
    return content


def check_configurations(folder: Path) -> None:
    """Raises `PrefbenchError` where a configuration in a model's folder asks for more layers than any model has."""
    for path in sorted([*folder.glob("config.json"), *folder.glob("*/config.json")]):
        try:
            too_many = _too_many(read_json(path, "a model"))
        except RecursionError:
            too_many = "levels of nesting"
        if too_many:
            raise PrefbenchError(f"{path} asks for too many {too_many}; {_MOST} are the most")


def _too_many(content: Mapping[str, Any] | list[Any], name: str = "") -> str:
    """The name of what a configuration holds too many of; empty where all is within bounds."""
    if isinstance(content, list):
        if len(content) > _MOST and name:
            return name
        items: Iterable[tuple[str, Any]] = ((name, value) for value in content)
    else:
        items = content.items()
    for key, value in items:
        if isinstance(value, Mapping | list):
            if inner := _too_many(value, key):
                return inner
        elif isinstance(value, int) and value > _MOST and _REPEATED.search(key):
            return key
    return ""

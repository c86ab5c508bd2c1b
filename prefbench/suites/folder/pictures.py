"""The digests of a folder's pictures, kept in the cache so that each file is decoded once."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from prefbench.api import PrefbenchError, UnreadableImageError, image_digest
from prefbench.api.pictures import read_picture
from prefbench.files import atomic_file, cache_folder, open_plain

_LOG = logging.getLogger(__name__)
_COLUMNS = ["file_name", "size", "modified", "digest", "fault"]
_TOLD_EVERY = 10_000


def with_digests(folder: Path, names: Sequence[str], claimed: Mapping[str, str]) -> pd.DataFrame:
    """The pictures of a folder by their file names: `digest`, and `fault` where one cannot be read.

    Args:
        folder: the names are relative to it.
        names: each once.
        claimed: digests that the table names; these files are decoded, and compared, when somebody loads them.
    """
    root = os.path.realpath(folder)
    stored = _stored(_cache_file(root))
    folders: dict[str, str] = {}
    rows = [_row(root, name, claimed.get(name, ""), stored, folders) for name in names]
    fresh = [row for row in rows if row[4] is None]
    if fresh:
        _LOG.info("reading %s pictures of %s for the first time", f"{len(fresh):,}", folder)
    for n, row in enumerate(fresh, 1):
        row[3], row[4] = _read(Path(root, str(row[0])))
        if n % _TOLD_EVERY == 0:
            _LOG.info("%s of %s pictures read", f"{n:,}", f"{len(fresh):,}")
    index = pd.DataFrame(rows, columns=_COLUMNS)
    if fresh:
        _store(_cache_file(root), index[index["size"] >= 0])
    return index.set_index("file_name")[["digest", "fault"]]


def _row(
    root: str, name: str, claimed: str, stored: Mapping[str, tuple[int, int, str, str]], folders: dict[str, str]
) -> list[object]:
    """Name, size, time, digest and fault of a file; the fault is None where the file has to be read."""
    path = os.path.join(root, name)  # noqa: PTH118 - a million of them
    try:
        if not _real(path, folders).startswith(root + os.sep):
            return [name, -1, -1, "", "it leads out of the folder"]
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        return [name, -1, -1, "", "there is no such file" if missing else f"it cannot be read ({error})"]
    if claimed:
        return [name, -1, -1, claimed, ""]
    size, modified, digest, fault = stored.get(name, (-1, -1, "", ""))
    if (size, modified) == (status.st_size, status.st_mtime_ns):
        return [name, size, modified, digest, fault]
    return [name, status.st_size, status.st_mtime_ns, "", None]


def _real(path: str, folders: dict[str, str]) -> str:
    """`os.path.realpath`, which asks for every folder above each of a million files: here once for each folder."""
    folder, name = os.path.split(path)
    if name in ("", ".", "..") or os.path.islink(path):  # noqa: PTH114
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], name)  # noqa: PTH118


def _read(path: Path) -> tuple[str, str]:
    try:
        return image_digest(read_picture(path)), ""
    except UnreadableImageError as error:
        return "", str(error).removeprefix(f"{path}: ")


def _cache_file(root: str) -> Path:
    name = hashlib.sha256(root.encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_folder() / "pictures" / f"{name}.parquet"


def _stored(path: Path) -> dict[str, tuple[int, int, str, str]]:
    """What the cache holds; nothing where it is absent or damaged: it is made again."""
    try:
        with open_plain(path) as stream:
            frame = pd.read_parquet(stream)[_COLUMNS]
    except (OSError, ValueError, KeyError, PrefbenchError):
        return {}
    return {name: tuple(values) for name, *values in frame.itertuples(index=False)}


def _store(path: Path, index: pd.DataFrame) -> None:
    try:
        with atomic_file(path) as temporary:
            index.to_parquet(temporary, index=False)
    except OSError as error:
        _LOG.warning("the digests of pictures are not kept, and each file is read again: %s", error)

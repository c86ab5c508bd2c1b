"""Where prefbench keeps what it makes: the cache of derived data, and the weights that ship with the package."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""Package data: one folder per model, each with a `card.json`."""


def cache_folder() -> Path:
    """Derived data that can be deleted at any time: `$PREFBENCH_CACHE`, else `~/.cache/prefbench`."""
    configured = os.environ.get("PREFBENCH_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "prefbench"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is flushed to disk and renamed, on failure removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes a whole file so that it is either the old one or the new one, never a part."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside `path`; on success it is flushed to disk and takes its place by
    renaming, on failure it goes.
    """
    fresh, old = (path.with_name(f".{path.name}.{state}.tmp") for state in ("new", "old"))
    if old.exists() and not path.exists():  # killed between the two renames: the old folder is all there is
        old.rename(path)
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        for file_written in (file for file in fresh.rglob("*") if file.is_file()):
            _flush(file_written)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """Waits until a file is on disk. Windows flushes writable handles alone."""
    with path.open("r+b" if os.name == "nt" else "rb") as content:
        os.fsync(content.fileno())


def install_folder(source: Path, target: Path) -> None:
    """Puts a copy of a folder in another's place: a kill leaves no part of it under the final name."""
    with atomic_folder(target) as fresh:
        shutil.copytree(source, fresh, dirs_exist_ok=True)

"""Where prefbench keeps what it makes, and how files of others are read and files of ours are written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from prefbench.api.errors import PrefbenchError

WEIGHTS = Path(__file__).parent / "weights"
"""Package data: one folder per model, each with a `card.json`."""


def cache_folder() -> Path:
    """Derived data that can be deleted at any time: `$PREFBENCH_CACHE`, else `~/.cache/prefbench`."""
    configured = os.environ.get("PREFBENCH_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "prefbench"


BYTES_LIMIT = 2**30
"""Bytes of one file that are read at most where the reader names no other limit."""


@contextmanager
def open_plain(path: Path, limit: int = BYTES_LIMIT) -> Iterator[BinaryIO]:
    """Opens a file from outside for reading bytes; never waits, as the opening of a pipe does.

    Raises:
        FileNotFoundError: there is none.
        PrefbenchError: it is a pipe, a device, a socket or a folder, has over `limit` bytes, or cannot be opened.
    """
    try:
        _check_plain(path, path.stat(), limit)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PrefbenchError(f"cannot read {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        _check_plain(path, os.fstat(descriptor), limit)  # what was opened may not be what was looked at
        yield stream


def read_plain(path: Path, limit: int = BYTES_LIMIT) -> bytes:
    """The bytes of a file from outside. Raises what `open_plain` raises."""
    with open_plain(path, limit) as stream:
        return stream.read(os.fstat(stream.fileno()).st_size)


def _check_plain(path: Path, status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PrefbenchError(f"{path} is no plain file but a {_KINDS.get(stat.S_IFMT(status.st_mode), 'device')}")
    if status.st_size > limit:
        raise PrefbenchError(f"{path} has {status.st_size:,} bytes; at most {limit:,} are read")


_KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is flushed to disk and renamed, on failure removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes a whole file so that it is either the old one or the new one, never a part."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def flush(path: Path) -> None:
    """Waits until a file is on disk. Windows flushes writable handles alone."""
    with path.open("r+b" if os.name == "nt" else "rb") as content:
        os.fsync(content.fileno())

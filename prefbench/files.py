"""Where prefbench keeps what it makes, and how files of others are read and files of ours are written."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from prefbench.api.errors import NoSpaceError, PrefbenchError

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
        PrefbenchError: it is a pipe, a device, a socket, a folder or a link to nothing, has over `limit` bytes, or
            cannot be opened or read.
    """
    try:
        _check_plain(path, path.stat(), limit)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        if path.is_symlink():  # a listing of the folder names it
            raise PrefbenchError(f"{path} is a link to nothing") from None
        raise
    except OSError as error:
        raise PrefbenchError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # a null character, or one that no encoding has
        raise PrefbenchError(f"cannot read {str(path)!r}: no file can have this name") from error
    with os.fdopen(descriptor, "rb") as stream:
        _check_plain(path, os.fstat(descriptor), limit)  # what was opened may not be what was looked at
        try:
            yield stream
        except OSError as error:  # a disk that fails
            raise PrefbenchError(f"cannot read {path}: {error.strerror}") from error


def read_plain(path: Path, limit: int = BYTES_LIMIT) -> bytes:
    """The bytes of a file from outside. Raises what `open_plain` raises."""
    with open_plain(path, limit) as stream:
        return stream.read(os.fstat(stream.fileno()).st_size)


def _check_plain(path: Path, status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PrefbenchError(f"{path} is no plain file but a {_KINDS.get(stat.S_IFMT(status.st_mode), 'device')}")
    if status.st_size > limit:
        raise PrefbenchError(f"{path} has {status.st_size:,} bytes; at most {limit:,} are read")


_TEMPORARY = re.compile(r"\.prefbench-[0-9a-f]{16}\.tmp")
_KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


@contextmanager
def explained_disk_errors(path: Path) -> Iterator[None]:
    """Turns a full disk, a used-up quota or a limit on file sizes into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = f"no space left while writing {path}; make room and run the same command again"
            raise NoSpaceError(message) from error
        raise


@contextmanager
def atomic_file(path: Path, *, inside: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is flushed to disk and renamed, on failure removed.

    The temporary file is new and its name cannot be foreseen, and a link in the place of `path` is replaced and not
    followed.

    Args:
        path: the file.
        inside: a folder given by the user that the file must not leave; by default the file's own folder.

    Raises:
        PrefbenchError: the way from `inside` to the file leads through a link, or the disk is full.
    """
    temporary = path.with_name(f".prefbench-{secrets.token_hex(8)}.tmp")
    with explained_disk_errors(path):
        make_folder(path.parent, inside=inside or path.parent)
        try:
            os.close(descriptor_of(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            yield temporary
            flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str, *, inside: Path | None = None) -> None:
    """Writes a whole file so that it is either the old one or the new one, never a part. Raises as `atomic_file`."""
    flags = os.O_WRONLY | getattr(os, "O_BINARY", 0)
    with atomic_file(path, inside=inside) as temporary, os.fdopen(descriptor_of(temporary, flags), "wb") as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def open_append(path: Path, *, inside: Path | None = None) -> Iterator[BinaryIO]:
    """Opens a file of ours for reading and appending; arguments and errors as of `atomic_file`."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with explained_disk_errors(path):
        make_folder(path.parent, inside=inside or path.parent)
        check_own(path)
        with os.fdopen(descriptor_of(path, flags), "r+b") as stream:
            yield stream


def remove(path: Path, *, inside: Path) -> None:
    """Deletes a file of ours, where there is one. Raises `PrefbenchError` where the way to it leads through a link."""
    if path.parent.is_dir():
        make_folder(path.parent, inside=inside)
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes the half-written files of a killed process from a folder and all below it, without following a link."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names if _TEMPORARY.fullmatch(name)):
            if stat.S_ISREG(path.lstat().st_mode):
                path.unlink(missing_ok=True)


def make_folder(folder: Path, *, inside: Path) -> None:
    """Makes a folder and those above it. Below `inside`, which may be a link, there must be none: a link could lead
    what is written anywhere.

    Raises:
        PrefbenchError: there is one, or a file in a folder's place.
    """
    try:
        inside.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise PrefbenchError(f"cannot write into {inside}: it is no folder") from None
    step = inside
    for name in folder.relative_to(inside).parts:
        step = step / name
        try:
            step.mkdir()
        except FileExistsError:
            if name == ".." or step.is_symlink() or not step.is_dir():
                raise PrefbenchError(f"{step} is no folder of its own: nothing is written through it") from None


def check_own(path: Path) -> None:
    """Raises `PrefbenchError` for a file that writing would change elsewhere: a link, a pipe, one of several names."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise PrefbenchError(f"{path} is a link or no plain file: nothing is written through it")


def json_text(content: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Valid JSON: a number that is none becomes null, whatever a file or a plug-in says."""
    return json.dumps(_finite(content), indent=1, default=default, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def flush(path: Path) -> None:
    """Waits until a file is on disk. Windows flushes writable handles alone."""
    descriptor = descriptor_of(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def descriptor_of(path: Path, flags: int) -> int:
    """Opens a file under a number that is no standard stream's.

    Pictures are stored while a plug-in draws. One that closes the standard output in between leaves its number to the
    next file, and when the stream is put back, what is written to that file would go there.
    """
    descriptor = os.open(path, flags, 0o666)
    while descriptor <= 2:  # left open: whoever puts the stream back closes it
        higher = os.dup(descriptor)
        if higher > 2 and os.path.samestat(os.fstat(higher), path.stat()):
            return higher
        os.close(higher)  # the stream was put back meanwhile
        descriptor = os.open(path, flags & ~os.O_EXCL, 0o666)
    return descriptor

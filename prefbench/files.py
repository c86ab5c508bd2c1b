"""Where prefbench keeps what it makes: the cache of derived data, and the weights that ship with the package."""

from __future__ import annotations

import os
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

"""A new folder that is there whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.files import explained_disk_errors, flush, make_folder


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside `path`; on success it is flushed to disk and renamed, on failure removed.

    Raises:
        PrefbenchError: `path` is there and not an empty folder: what is in it may be somebody's, so nothing of it is
            replaced; or the disk is full.
    """
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise PrefbenchError(f"{path} is there already: delete it, or name another folder with --out")
    building = path.with_name(f".prefbench-{secrets.token_hex(8)}.tmp")
    with explained_disk_errors(path):
        make_folder(path.parent, inside=path.parent)
        building.mkdir()
        try:
            yield building
            for file in building.rglob("*"):
                if file.is_file():
                    flush(file)
            if path.is_dir():
                path.rmdir()
            building.rename(path)
        finally:
            shutil.rmtree(building, ignore_errors=True)

"""Folders of weights that are written whole: the old one or the new one, never a part of either."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefbench.files import flush


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
            flush(file_written)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def install_folder(source: Path, target: Path) -> None:
    """Puts a copy of a folder in another's place: a kill leaves no part of it under the final name."""
    with atomic_folder(target) as fresh:
        shutil.copytree(source, fresh, dirs_exist_ok=True)

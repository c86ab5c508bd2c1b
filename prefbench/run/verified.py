"""Which stored images need not be decoded again: those whose files have not changed since they were found whole.

A line of `images/.verified` holds an image's digest and its file's size and times, as they were when it was written or
last decoded. What a line does not fit is decoded: an edited, restored or copied file, and every file where the list is
lost. A disk that returns other bytes under the old times is not noticed here, but where the image is scored.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.files import open_append
from prefbench.run.lines import blocks

_NAME = "images/.verified"


def state_of(path: str) -> str | None:
    """Size and times of a file; None where there is no plain one."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def verified_images(run: Path, digests: Iterable[str]) -> set[str]:
    """Those of the images whose files are as they were when they were found whole."""
    lines = _lines(run)
    if not lines:
        return set()
    folder = str(run / "images")
    names = ((digest, state_of(f"{folder}/{digest[:2]}/{digest}.png")) for digest in digests)
    return {digest for digest, state in names if state is not None and f"{digest} {state}".encode() in lines}


def note_verified(run: Path, found: Sequence[tuple[str, str]]) -> None:
    """Remembers images that were found whole, with the states that their files had before they were looked at.

    Raises:
        PrefbenchError: the disk is full, or the list is a link.
    """
    if found:
        text = "".join(f"\n{digest} {state}" for digest, state in found).encode()  # behind a line that a kill cut off
        with suppress(PermissionError), open_append(run / _NAME, inside=run) as stream:
            stream.write(text)


def _lines(run: Path) -> set[bytes]:
    """The list; nothing where it cannot be read, so that all is decoded."""
    lines = set[bytes]()
    with suppress(FileNotFoundError, PrefbenchError):
        for block in blocks(run / _NAME):
            lines.update(block.lines)
    return lines

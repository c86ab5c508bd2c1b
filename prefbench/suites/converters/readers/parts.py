"""Files that are one file cut in pieces, read as if they were whole."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.api.pictures import MAX_BYTES


class JoinedFiles(io.RawIOBase):
    """The bytes of files one after another; can be read from anywhere, so that a tar needs no unpacking.

    Args:
        paths: the pieces in their order.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        for path in paths:
            if not path.is_file():
                raise PrefbenchError(f"{path} is no plain file")
        self._files = [path.open("rb") for path in paths]
        self._ends = list(accumulate(path.stat().st_size for path in paths))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1]}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes; fewer at the end, and where over `MAX_BYTES` are asked for, as by a hostile header."""
        left = min(MAX_BYTES if size is None or size < 0 else size, MAX_BYTES)
        pieces: list[bytes] = []
        while left > 0 and self._at < self._ends[-1]:
            which = bisect_right(self._ends, self._at)
            start = self._ends[which - 1] if which else 0
            self._files[which].seek(self._at - start)
            piece = self._files[which].read(min(left, self._ends[which] - self._at))
            if not piece:
                break
            pieces.append(piece)
            self._at += len(piece)
            left -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()

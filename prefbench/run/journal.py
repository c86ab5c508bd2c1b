"""Files that grow while a run lives: a header, then one row a line with a sum over it and all that stands before it.

So an edited, lost, repeated, moved or foreign row shows at its line. What a kill cut off the last line is left out and
done again; the next row takes its place.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, TypeVar

from prefbench.api import PrefbenchError
from prefbench.api.stored import FORMAT
from prefbench.files import open_append
from prefbench.run.lines import LINE_LIMIT, blocks, encoded, parse, sealed, sha256, unsealed
from prefbench.run.row_kinds import RowKind

R = TypeVar("R")
logger = logging.getLogger(__name__)
_SUM = 16
"""Digits of a row's sum."""
_TAIL = len(', "sum": ""}') + _SUM
"""Bytes that it takes at the end of a line."""


class Owner(NamedTuple):
    """What a file of a run folder must agree with."""

    format: int
    """The format of the folder's description."""
    run: str
    """Names the run: a digest of its spec."""


@dataclass(frozen=True)
class Journal(Generic[R]):
    """One such file. A folder of format 1 goes on as it was begun: without header and sums."""

    folder: Path
    name: str
    """The file within the folder: a copy under another name is no file of the run."""
    owner: Owner
    kind: RowKind[R]
    fault: Callable[[R], str] = lambda _: ""
    """What is wrong with a row that has all its fields; empty where nothing is."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.name

    def rows(self) -> list[R]:
        """All rows in their order; none where there is no file.

        Raises:
            PrefbenchError: a line is not as it was written, is missing, is of another run, or of a later format.
        """
        try:
            return self._summed() if self.owner.format > 1 else self._bare()
        except FileNotFoundError:
            return []

    def append(self, rows: Sequence[R]) -> None:
        """Adds rows in one write and flushes them to disk.

        Raises:
            PrefbenchError: a row is not of the schema, the disk is full, or the file is damaged or a link.
        """
        if not rows:
            return
        lines = [encoded(self.kind.plain(row)) for row in rows]
        parse(self.kind.adapter, lines, path=self.path, first=1, advice="such a row cannot be stored")
        with open_append(self.path, inside=self.folder) as stream:
            before = self._mended(stream)
            text = _chained(lines, before) if self.owner.format > 1 else lines
            stream.write(b"".join(line + b"\n" for line in text))
            stream.flush()
            os.fsync(stream.fileno())

    @property
    def _header(self) -> bytes:
        return encoded({"format": self.owner.format, "file": self.name, "run": self.owner.run})

    def _summed(self) -> list[R]:
        rows: list[R] = []
        before = ""
        for block in blocks(self.path):
            lines, first = block.lines, block.first
            if first == 1:
                if not block.ended:
                    self._warn(block.first)
                    break
                self._check_header(lines[0])
                lines, first, before = lines[1:], 2, sha256(lines[0])[:_SUM]
            bare, before = self._unchained(lines, first, before, ended=block.ended)
            rows += self._parsed(bare, first)
        return rows

    def _parsed(self, lines: Sequence[bytes], first: int) -> list[R]:
        rows = parse(self.kind.adapter, lines, path=self.path, first=first, advice=self._advice)
        for number, row in enumerate(rows, start=first):
            if fault := self.fault(row):
                raise PrefbenchError(f"{self.path} line {number} {fault}; {self._advice}")
        return rows

    def _unchained(self, lines: Sequence[bytes], first: int, before: str, *, ended: bool) -> tuple[list[bytes], str]:
        """The rows of a block from line `first` on without their sums, and the last sum."""
        bare, last = [], before.encode()
        for number, line in enumerate(lines, start=first):
            row = line[:-_TAIL] + b"}"
            expected = hashlib.sha256(last + row).hexdigest()[:_SUM].encode()
            if not line.endswith(b', "sum": "%b"}' % expected):
                if not ended:
                    self._warn(number)
                    break
                what = "is not as it was written, or lines before it are missing, repeated or moved"
                raise PrefbenchError(f"{self.path} line {number} {what}; {self._advice}")
            last = expected
            bare.append(row)
        return bare, last.decode()

    def _check_header(self, line: bytes) -> None:
        """Raises `PrefbenchError` for the header of another run, another file or a later format."""
        if line == self._header:
            return
        try:
            header = json.loads(line)
            stated = header.get("format"), header.get("file"), header.get("run")
        except (ValueError, AttributeError, RecursionError):
            raise PrefbenchError(f"{self.path} line 1 is no header; {self._advice}") from None
        if isinstance(stated[0], int) and stated[0] > FORMAT:
            raise PrefbenchError(f"{self.path} is of format {stated[0]}; this prefbench reads up to {FORMAT}")
        reasons = ("is not of the format of run.json", f"is not the header of {self.name}", "is of another run")
        wanted = (self.owner.format, self.name, self.owner.run)
        odd = next((why for why, have, want in zip(reasons, stated, wanted, strict=True) if have != want), "is damaged")
        raise PrefbenchError(f"{self.path} line 1 {odd}; {self._advice}")

    def _bare(self) -> list[R]:
        """Rows of format 1. Lines that were cut may stand anywhere: what they lost has been done again."""
        rows: list[R] = []
        for block in blocks(self.path):
            for number, line in enumerate(block.lines, start=block.first):
                row = _cut_or_row(line)
                if row is None:
                    if line.strip():
                        self._warn(number)
                    continue
                if "sum" in row or "format" in row:
                    what = f"line {number} has a sum and run.json has no digest: one of the two was edited"
                    raise PrefbenchError(f"{self.path} {what}; {self._advice}")
                rows += self._parsed([encoded(self.kind.modern(row))], number)
        return rows

    def _warn(self, number: int) -> None:
        logger.warning("%s line %d is cut off and left out; the same command does it again", self.path, number)

    @property
    def _advice(self) -> str:
        return "restore it, or delete this line and all after it and run the same command again"

    def _mended(self, stream: IO[bytes]) -> str:
        """Closes or removes a last line that a kill cut off, begins an empty file, and returns the last sum."""
        size = stream.seek(0, os.SEEK_END)
        start = stream.seek(max(0, size - LINE_LIMIT))
        *whole, rest = stream.read().split(b"\n")
        if self.owner.format == 1:
            stream.write(b"\n" if rest else b"")
            return ""
        before = self._sum_of(whole[-1], is_header=start == 0 and len(whole) == 1) if whole else ""
        if rest and whole and unsealed(rest, "sum", _SUM)[1] == (closed := self._next(rest, before)):
            stream.write(b"\n")
            return closed
        stream.truncate(size - len(rest))
        stream.seek(0, os.SEEK_END)
        if not whole:
            stream.write(self._header + b"\n")
            return sha256(self._header)[:_SUM]
        return before

    def _next(self, line: bytes, before: str) -> str:
        return sha256(before.encode(), unsealed(line, "sum", _SUM)[0])[:_SUM]

    def _sum_of(self, line: bytes, *, is_header: bool) -> str:
        if is_header:
            self._check_header(line)
        return sha256(line)[:_SUM] if is_header else unsealed(line, "sum", _SUM)[1]


def _chained(lines: Sequence[bytes], before: str) -> Iterator[bytes]:
    for line in lines:
        before = sha256(before.encode(), line)[:_SUM]
        yield sealed(line, "sum", before)


def _cut_or_row(line: bytes) -> dict[str, Any] | None:
    """The row of a line; None for what is no JSON, as a line that was cut. Other JSON is a row without fields."""
    with suppress(ValueError):
        try:
            content = json.loads(line)
        except RecursionError:
            return {}
        return content if isinstance(content, dict) else {}
    return None

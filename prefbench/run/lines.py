"""Files of JSON lines, read a block at a time and checked by a schema: a fault is one line with its number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from prefbench.api import PrefbenchError, plain
from prefbench.files import open_plain

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

R = TypeVar("R")
LINE_LIMIT = 2**22
"""Bytes of one line at most."""
_READ = 2**18
"""Bytes that are read at a time: as much as a processor keeps near."""
FILE_LIMIT = 2**32


class Block(NamedTuple):
    """Some lines of a file."""

    first: int
    """The number of its first line, from 1 on."""
    text: bytes
    """The lines with their ends."""

    @property
    def ended(self) -> bool:
        """False for what follows the last line end: a kill or a full disk cut it off."""
        return self.text.endswith(b"\n")

    @property
    def lines(self) -> list[bytes]:
        """The lines without their ends."""
        return self.text.removesuffix(b"\n").split(b"\n")


def blocks(path: Path) -> Iterator[Block]:
    """The lines of a file; none for an empty one.

    Raises:
        FileNotFoundError: there is no such file.
        PrefbenchError: it is no plain file, or has a line or more bytes than are read.
    """
    with open_plain(path, FILE_LIMIT) as stream:
        first, rest = 1, b""
        while read := stream.read(_READ):
            whole, end, rest = (rest + read).rpartition(b"\n")
            if end:
                yield Block(first, whole + end)
                first += whole.count(b"\n") + 1
            if len(rest) > LINE_LIMIT:
                raise PrefbenchError(f"{path} line {first} has over {LINE_LIMIT:,} bytes: it is no row")
        if rest:
            yield Block(first, rest)


def parse(adapter: TypeAdapter[list[R]], lines: Sequence[bytes], *, path: Path, first: int, advice: str) -> list[R]:
    """The rows of some lines, all of them at once. Raises `PrefbenchError` for the first that is not of the schema."""
    from pydantic import ValidationError

    if not lines:
        return []
    text = b"[%b]" % b",\n".join(lines)
    with suppress(ValidationError):  # one object a line: then all of them at once, in a fraction of the time
        if text[1:2] + text[-2:-1] == b"{}" and text.count(b"},\n{") == len(lines) - 1:
            rows = adapter.validate_json(text)
            if len(rows) == len(lines):
                return rows
    for number, line in enumerate(lines, start=first):
        try:
            if len(adapter.validate_json(b"[" + line + b"]")) != 1:
                raise PrefbenchError(f"{path} line {number} holds no row; {advice}")
        except ValidationError as error:
            raise PrefbenchError(f"{path} line {number} is no row ({fault(error)}); {advice}") from None
    raise PrefbenchError(f"{path} holds lines that are no rows of their own; {advice}")


def fault(error: ValidationError) -> str:
    """What is wrong first, in one line: the field and the reason. Shows no text of the file but names of fields."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    reason = first["msg"].partition(" at line ")[0]
    return plain(f"{place}: {reason}" if place else reason)


def encoded(content: Mapping[str, Any]) -> bytes:
    """A record as one line of JSON, fields in alphabetical order."""
    return json.dumps(content, sort_keys=True).encode()


def sealed(line: bytes, name: str, digest: str) -> bytes:
    """A line of JSON with a digest as its last field."""
    return line[:-1] + f', "{name}": "{digest}"}}'.encode()


def unsealed(line: bytes, name: str, length: int) -> tuple[bytes, str]:
    """The line that was sealed, and the digest as it stands there; an empty digest where there is none."""
    mark = f', "{name}": "'.encode()
    start = len(line) - len(mark) - length - 2
    if start < 0 or line[start : start + len(mark)] != mark or line[-2:] != b'"}':
        return line, ""
    return line[:start] + b"}", line[start + len(mark) : -2].decode(errors="replace")


def sha256(*parts: bytes) -> str:
    """SHA-256 of bytes one after the other."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()

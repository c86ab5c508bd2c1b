"""Files of lines that are written whole: a header with the number of rows and a digest of everything, then the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic_core import from_json

from prefbench.api import PrefbenchError, counted
from prefbench.api.stored import FORMAT
from prefbench.run.lines import blocks, encoded, parse, sealed, sha256, unsealed
from prefbench.run.stamps import check_format

if TYPE_CHECKING:
    from pydantic import TypeAdapter

R = TypeVar("R")
_DIGEST = 64


class Header(NamedTuple):
    """The first line of a table."""

    content: Mapping[str, Any]
    """What its writer said; without format, number of rows and digest."""
    format: int
    digest: str
    """Empty in format 1."""


def table_bytes(header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The content of a table's file."""
    first = encoded({**header, "format": FORMAT, "rows": len(rows)})
    body = b"".join(encoded(row) + b"\n" for row in rows)
    return sealed(first, "digest", sha256(first, b"\n", body)) + b"\n" + body


def read_header(path: Path, advice: str) -> Header:
    """The header of a table whose every byte is what was written.

    Raises:
        FileNotFoundError: there is no such file.
        PrefbenchError: the header is damaged, of a later format, or not of these rows; `advice` ends the message.
    """
    hashed, header, n_lines = hashlib.sha256(), None, 0
    for first, text in blocks(path):
        n_lines += text.count(b"\n") + (not text.endswith(b"\n"))
        if first == 1:
            line, _, text = text.partition(b"\n")
            header = _header(path, line, advice)
            hashed.update(unsealed(line, "digest", _DIGEST)[0] + b"\n")
        hashed.update(text)
    if header is None:
        raise PrefbenchError(f"{path} is empty; {advice}")
    content, n_rows = dict(header.content), header.content.get("rows")
    if header.format > 1 and (header.digest != hashed.hexdigest() or content.pop("rows", None) != n_lines - 1):
        n_here = n_lines - 1
        fault = f"{counted(n_here, 'row')}, {n_rows} written" if n_rows != n_here else "its digest does not fit"
        raise PrefbenchError(f"{path} is not as it was written ({fault}); {advice}")
    return header._replace(content=content)


def read_rows(path: Path, adapter: TypeAdapter[list[R]], advice: str) -> Iterator[tuple[int, list[R]]]:
    """The rows of a table with the line number of the first, a block at a time.

    Raises:
        PrefbenchError: a line is no row.
    """
    for block in blocks(path):
        first, lines = (2, block.lines[1:]) if block.first == 1 else (block.first, block.lines)
        yield first, parse(adapter, lines, path=path, first=first, advice=advice)


def _header(path: Path, line: bytes, advice: str) -> Header:
    _, digest = unsealed(line, "digest", _DIGEST)
    try:
        content = dict(from_json(line, allow_inf_nan=False))
        check_format(path, stated := content.pop("format", 1))
        content.pop("digest", None)
        if stated == 1 and (digest or "rows" in content):
            raise ValueError("it has a digest and no format")
    except (ValueError, TypeError) as error:
        reason = "" if isinstance(error, TypeError) else f" ({str(error).partition(' at line ')[0]})"
        raise PrefbenchError(f"{path} line 1 is no header{reason}; {advice}") from None
    return Header(content, stated, digest)

"""Picture files made of numbers alone, and what they show, computed by hand."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Numbers = NDArray[Any]


def on_white(colours: Numbers, alpha: Numbers) -> Numbers:
    """Colours (H, W, 3) under alpha (H, W) on a white page, uint8."""
    share = alpha[..., None].astype(np.float64) / 255
    return np.asarray(np.floor(colours * share + 255 * (1 - share) + 0.5), np.uint8)


def grey(levels: Numbers) -> Numbers:
    """Grey (H, W) as RGB (H, W, 3)."""
    return np.repeat(np.asarray(levels, np.uint8)[..., None], 3, axis=2)


def turned(stored: Numbers, orientation: int) -> Numbers:
    """What a viewer shows of stored pixels under an EXIF orientation, by the table of the EXIF standard.

    Its rows and columns name which side of the stored picture is shown at the top and at the left.
    """
    height, width = stored.shape[:2]
    rows, columns = np.indices((height, width) if orientation < 5 else (width, height))
    last_row, last_column = height - 1, width - 1
    source = {
        1: (rows, columns),
        2: (rows, last_column - columns),
        3: (last_row - rows, last_column - columns),
        4: (last_row - rows, columns),
        5: (columns, rows),
        6: (last_row - columns, rows),
        7: (last_row - columns, last_column - rows),
        8: (columns, last_column - rows),
    }[orientation]
    return np.asarray(stored[source])


def png(depth: int, colour: int, rows: Sequence[bytes], width: int, *, extra: bytes = b"") -> bytes:
    """A PNG file of packed rows; `colour` 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def transparent(*colour: int) -> bytes:
    """The chunk that makes one colour of a PNG without alpha transparent."""
    return chunk(b"tRNS", struct.pack(f">{len(colour)}H", *colour))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def matrix_profile(primaries: Numbers, gamma: float) -> bytes:
    """An ICC profile: columns of `primaries` (3, 3) are the XYZ of red, green and blue under D50, all of one gamma."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: Sequence[float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(number, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + b"\0" * 78
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0x\0\0\0", b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries.T, strict=True):
        tags[name] = xyz(column.tolist())
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    whole = struct.pack(">I", len(tags)) + table + body
    start = struct.pack(">I4sI", 128 + len(whole), b"\0" * 4, 0x02400000) + b"mntrRGB XYZ " + b"\0" * 12 + b"acsp"
    start += b"\0" * 28 + number(0.9642) + number(1.0) + number(0.8249)
    return start.ljust(128, b"\0") + whole

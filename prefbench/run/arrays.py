"""Arrays as `.npz` files: read within bounds, nothing in them is run or unpacked."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefbench.api import counted, plain
from prefbench.files import read_plain

_MEMBERS = 10_000
_ENCRYPTED = 1


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of an `.npz` without compression."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def unpacked(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file that `packed` made.

    Raises:
        FileNotFoundError: there is none.
        PrefbenchError: it is no plain file, or too large.
        ValueError: it is damaged, compressed, encrypted, or holds other things than arrays; the message is one line.
    """
    data = read_plain(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MEMBERS:
                raise ValueError(f"it has {counted(len(members), 'array')}")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except Exception as error:  # bytes from outside can make zipfile and numpy raise anything
        raise ValueError(plain(f"{type(error).__name__}: {error}")) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; its size on disk is its size in memory, so that no shape can ask for more than there is."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{member.filename} is compressed or encrypted")
    stream = io.BytesIO(archive.read(member))
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read_header(stream)
    values = stream.read()
    if dtype.hasobject or len(values) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{member.filename} is no array of {shape} {dtype}")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if by_columns else "C").copy()

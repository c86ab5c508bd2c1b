"""The pictures of a local copy by their names: beside the table, or in tar and zip archives that are never unpacked.

Nothing is written under a name from outside: a picture is bytes, which the writer stores under their digest. Names that
leave the copy, links, devices and members that are too large are no pictures, each told in a line.
"""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from prefbench.api import PrefbenchError, UnreadableImageError
from prefbench.api.pictures import MAX_BYTES
from prefbench.suites.converters.readers.parts import JoinedFiles
from prefbench.suites.folder.writer import LeftOut

_MEMBERS = 20_000_000
"""Members of one archive at most."""
_PART = re.compile(r"(.+\.tar)\.part-?(\d+)")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Unreadable:
    """What a name stands for that no picture can be read under."""

    key: str
    reason: str

    def read(self) -> bytes:
        """Raises `UnreadableImageError` with the reason."""
        raise UnreadableImageError(f"{self.key}: {self.reason}")


@dataclass(frozen=True)
class Member:
    """A picture in an archive."""

    key: str
    archive: Archive = field(repr=False, compare=False, hash=False)
    place: Any = field(repr=False, compare=False, hash=False)

    def read(self) -> bytes:
        """The bytes. Raises `UnreadableImageError` where they are not all there."""
        return self.archive.read(self)


@dataclass(frozen=True)
class Archive:
    """A tar, also cut into parts, or a zip; its list is read once, its members where they lie.

    Attributes:
        paths: the file, or the parts in their order.
    """

    paths: tuple[Path, ...]

    @cached_property
    def members(self) -> dict[str, Member | Unreadable]:
        """Every member that is no folder, by its name. Raises `PrefbenchError` for what is no archive or cut short."""
        try:
            return self._tarred() if self._zip is None else self._zipped(self._zip)
        except (tarfile.TarError, zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise PrefbenchError(f"{self.paths[0]} is no archive that can be read: {error}") from error

    @cached_property
    def _zip(self) -> zipfile.ZipFile | None:
        return zipfile.ZipFile(self.paths[0]) if self.paths[0].suffix.lower() == ".zip" else None

    @cached_property
    def _tar(self) -> JoinedFiles:
        return JoinedFiles(self.paths)

    def read(self, member: Member) -> bytes:
        """The bytes of one of the members."""
        try:
            if self._zip is not None:
                with self._zip.open(member.place) as stream:
                    data = stream.read(MAX_BYTES + 1)
                size = member.place.file_size
            else:
                start, size = member.place
                self._tar.seek(start)
                data = self._tar.read(size)
        except (OSError, RuntimeError, ValueError, NotImplementedError, zipfile.BadZipFile, EOFError) as error:
            raise UnreadableImageError(f"{member.key}: {error}") from error
        except Exception as error:  # what decompresses raises errors of its own
            raise UnreadableImageError(f"{member.key}: cannot be decompressed ({error})") from error
        if len(data) != size:
            raise UnreadableImageError(f"{member.key}: cut short, {len(data):,} bytes of {size:,}")
        return data

    def _tarred(self) -> dict[str, Member | Unreadable]:
        members: dict[str, Member | Unreadable] = {}
        with tarfile.open(fileobj=self._tar, mode="r:") as tar:
            while (entry := tar.next()) is not None:
                if not entry.isdir():
                    regular = "" if entry.isreg() else "it is a link or a device, and no picture"
                    self._add(members, entry.name, (entry.offset_data, entry.size), entry.size, regular)
                tar.members = []  # type: ignore[attr-defined]  # the list would hold every header
        return members

    def _zipped(self, file: zipfile.ZipFile) -> dict[str, Member | Unreadable]:
        members: dict[str, Member | Unreadable] = {}
        for entry in file.infolist():
            if not entry.is_dir():
                link = (entry.external_attr >> 16) & 0o170000 not in (0, 0o100000)
                what = "it is a link or a device, and no picture" if link else ""
                self._add(members, entry.filename, entry, entry.file_size, what)
        return members

    def _add(self, members: dict[str, Member | Unreadable], name: str, place: Any, size: int, fault: str) -> None:
        if len(members) >= _MEMBERS:
            raise PrefbenchError(f"{self.paths[0]} has over {_MEMBERS:,} members")
        key = f"{self.paths[0]}:{name}"
        if size > MAX_BYTES:
            fault = f"it has {size:,} bytes; at most {MAX_BYTES:,} are read"
        clean = inside(name)
        members[clean or name] = (
            Unreadable(key, fault or name_fault(name)) if fault or not clean else Member(key, self, place)
        )


class Pictures:
    """The pictures of a copy.

    Args:
        root: the folder of the copy, or an archive.
        below: folders that names may be relative to, the first that has a file counts; `""` is the root itself.
        by_name: whether a picture is also found by the last part of its name, wherever it lies.
        archives: how the names of the archives begin that count.
    """

    def __init__(self, root: Path, *, below: Sequence[str] = ("",), by_name: bool = False, archives: str = "") -> None:
        self._root, self._below, self._by_name, self._prefix = root, tuple(below), by_name, archives
        self._home = root if root.is_dir() else root.parent
        self._real = os.path.realpath(self._home)

    def find(self, name: str) -> Path | Member | Unreadable:
        """What a name stands for; reading it may still fail."""
        clean = inside(name)
        if not clean:
            return Unreadable(name[:200], name_fault(name))
        for folder in self._below if self._root.is_dir() else ():
            path = self._home / folder / clean
            if path.is_file():
                return self._plain(path)
        for folder in ("", *self._below):
            if member := self._members.get(f"{folder}/{clean}".lstrip("/")):
                return member
        if self._by_name and (place := self._last_parts.get(PurePosixPath(clean).name)):
            return self._plain(place) if isinstance(place, Path) else place
        return Unreadable(str(self._home / clean), "there is no such file")

    def pick(self, value: object) -> Path | bytes | Member | Unreadable | LeftOut:
        """The picture of a cell: bytes, the struct `{bytes, path}` of Hugging Face `datasets`, or a name."""
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes | bytearray):
            return bytes(value)
        if not isinstance(value, str) or not value:
            return LeftOut("without a picture", str(value)[:80])
        if _ADDRESS.match(value):
            return LeftOut("with a web address in place of a picture; nothing is downloaded", value[:80])
        return self.find(value)

    @cached_property
    def archives(self) -> list[Archive]:
        """The archives in the copy; parts of a tar together, in the order of their numbers."""
        if not self._root.is_dir():
            return [Archive((self._root,))] if self._root.suffix.lower() in (".tar", ".zip") else []
        groups: dict[Path, list[Path]] = {}
        for path in sorted(self._root.rglob("*")):
            cut = _PART.fullmatch(path.name)
            if (
                path.name.startswith(self._prefix)
                and path.is_file()
                and (cut or path.suffix.lower() in (".tar", ".zip"))
            ):
                group = groups.setdefault(path.with_name(cut[1]) if cut else path, [])
                if cut and int(cut[2]) != len(group):
                    raise PrefbenchError(f"{path} is there, and the part of number {len(group)} is not")
                if isinstance(plain := self._plain(path), Unreadable):
                    raise PrefbenchError(f"{path}: {plain.reason}")
                group.append(path)
        return [Archive(tuple(paths)) for paths in groups.values()]

    @cached_property
    def _members(self) -> dict[str, Member | Unreadable]:
        return {name: member for archive in reversed(self.archives) for name, member in archive.members.items()}

    @cached_property
    def _last_parts(self) -> dict[str, Path | Member | Unreadable]:
        members: dict[str, Path | Member | Unreadable] = {PurePosixPath(n).name: m for n, m in self._members.items()}
        if self._root.is_dir():
            for parent, _, names in os.walk(self._root):
                members |= {name: Path(parent, name) for name in names}
        return members

    def _plain(self, path: Path) -> Path | Unreadable:
        if os.path.realpath(path).startswith(self._real + os.sep):
            return path
        return Unreadable(str(path), "it leads out of the folder; hf download --local-dir writes plain files")


def inside(name: str) -> str:
    """A name as a path below a folder, without `./`; empty where it is none."""
    plain = name.replace("\\", "/")
    if not plain or plain.startswith(("/", "~")) or "\0" in plain or re.match(r"[A-Za-z]:", plain):
        return ""
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    return "" if ".." in parts else "/".join(parts)


def name_fault(name: str) -> str:
    """What is wrong with a name that is no path below a folder."""
    return "its name is empty" if not name else "its name leads out of the folder"

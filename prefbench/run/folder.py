"""The run folder. JSON lines while a run lives, whole files written atomically, images named by their digest."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import PrefbenchError, Sample, encode_png, image_digest
from prefbench.api.records import record_of
from prefbench.files import check_own, open_append, read_plain, remove, remove_leftovers, write_atomic
from prefbench.run import images

logger = logging.getLogger(__name__)
_PLAIN_IN_FILES = " ()=,+"
_ADVICE = "delete it and run the same command again"


class RunFolder:
    """Reads and writes one run. The layout is in the documentation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_description(self, content: Mapping[str, Any]) -> None:
        """Writes `run.json`."""
        self._write(self.path / "run.json", json.dumps(content, indent=2, sort_keys=True) + "\n")

    def read_description(self) -> dict[str, Any]:
        """The content of `run.json`. Raises `PrefbenchError` where there is none or it cannot be read."""
        path = self.path / "run.json"
        if not path.is_file():
            raise PrefbenchError(f"{self.path} is not a run folder: it has no run.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise PrefbenchError(f"{path} is damaged ({error}); {_ADVICE}") from error
        if not isinstance(content, dict) or not isinstance(content.get("spec"), dict):
            raise PrefbenchError(f"{path} is damaged (it holds no spec); {_ADVICE}")
        return content

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one writer. Raises `PrefbenchError` where another process holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        # The owner stands in a file of its own: some systems let nobody read a locked one.
        lock, owner = FileLock(self.path / ".lock"), self.path / ".owner"
        check_own(self.path / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            name = read_plain(owner, 100).decode(errors="replace") if owner.is_file() else ""
            message = f"{self.path} is being written by {name or 'another process'}; wait for it or use --out"
            raise PrefbenchError(message) from None
        try:
            self._write(owner, f"process {os.getpid()}")
            remove_leftovers(self.path)
            yield
        finally:
            lock.release()

    def _write(self, path: Path, data: bytes | str) -> None:
        """Writes a whole file of the folder."""
        with explained_disk_errors(path):
            write_atomic(path, data, inside=self.path)

    def samples(self) -> dict[str, Sample]:
        """The last row of every sample, by key."""
        rows: dict[str, Sample] = {}
        for path in sorted((self.path / "samples").glob("*.jsonl")):
            for row in read_lines(path):
                row.setdefault("nfe", row.get("evaluations"))  # as it was called before 0.2
                rows[row["key"]] = record_of(Sample, row)
        return rows

    def finished(self) -> dict[str, Sample]:
        """Samples that need not be drawn again: their stored image shows what its name says. Others are warned of."""
        drawn = {key: sample for key, sample in self.samples().items() if sample.image}
        stored = {sample.image or "" for sample in drawn.values()}
        intact = images.intact(self.path, stored)
        if damaged := sorted(stored - intact):
            text = "%d of %d stored images are missing or damaged and are drawn again, such as %s"
            logger.warning(text, len(damaged), len(stored), self.image_path(damaged[0]))
        return {key: sample for key, sample in drawn.items() if sample.image in intact}

    def append_samples(self, samples: Iterable[Sample], *, worker: str = "0") -> None:
        """Adds rows in one write and flushes them to disk."""
        rows = [asdict(sample) for sample in samples]
        append_lines(self.path / "samples" / f"{worker}.jsonl", rows, inside=self.path)

    def image_path(self, digest: str) -> Path:
        return images.image_path(self.path, digest)

    def put_image(self, image: Image.Image) -> str:
        """Stores an image once, in the place of a damaged one too, and returns its digest."""
        digest = image_digest(image)
        if not images.is_intact(self.path, digest):
            images.make_room(self.path, digest)
            self._write(self.image_path(digest), encode_png(image))
        return digest

    def image(self, digest: str) -> Image.Image:
        """A stored image. Raises `UnreadableImageError` where it is missing, damaged, or not what its name says."""
        return images.read_image(self.path, digest)

    def append_profile(self, row: Mapping[str, Any]) -> None:
        append_lines(self.path / "profiles.jsonl", [row])

    def profiles(self) -> dict[str, dict[str, Any]]:
        """The last profile row of every history, by the history's digest."""
        path = self.path / "profiles.jsonl"
        return {row["history"]: row for row in read_lines(path)} if path.is_file() else {}

    def put_payload(self, history: str, data: bytes) -> None:
        """Stores what a method made of one history, by the history's digest."""
        self._write(self._payload_path(history), data)

    def payload(self, history: str) -> bytes | None:
        """The bytes that `put_payload` stored; None where it stored none."""
        path = self._payload_path(history)
        return path.read_bytes() if path.is_file() else None

    def _payload_path(self, history: str) -> Path:
        return self.path / "profiles" / f"{history}.pt"

    def put_representation(self, name: str, data: bytes) -> None:
        """Stores the arrays of one user as an `.npz`, by a name for the user."""
        self._write(self._representation_path(name), data)

    def representation(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of one user, None where there are none. Raises `PrefbenchError` where they cannot be read."""
        path = self._representation_path(name)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise PrefbenchError(self.damaged_representation(name, str(error))) from error

    def damaged_representation(self, name: str, reason: str) -> str:
        """The line for a user's arrays that cannot be used."""
        return f"{self._representation_path(name)} is unusable ({reason}); {_ADVICE}"

    def states_digest(self) -> str:
        """A digest that changes with what is stored of any user; empty where nothing is."""
        paths = sorted((self.path / "representations").glob("*.npz"))
        hashed = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]
        return hashlib.sha256("\n".join(hashed).encode()).hexdigest()[:16] if hashed else ""

    def append_representation(self, row: Mapping[str, Any]) -> None:
        append_lines(self.path / "representations.jsonl", [row])

    def _representation_path(self, name: str) -> Path:
        return self.path / "representations" / f"{name}.npz"

    def write_scores(self, name: str, header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes the scores of one metric: a header line, then one line per value."""
        lines = [json.dumps(line, sort_keys=True) for line in (header, *rows)]
        self._write(self.score_path(name), "\n".join(lines) + "\n")

    def scores(self, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """Header and rows of one metric, or None where it was not scored."""
        path = self.score_path(name)
        if not path.is_file():
            return None
        header, *rows = read_lines(path)
        return header, rows

    def score_header(self, name: str) -> dict[str, Any] | None:
        """The header of one metric alone, or None where it was not scored; empty where its line is damaged."""
        path = self.score_path(name)
        if not path.is_file():
            return None
        with path.open(encoding="utf-8", errors="replace") as lines:
            try:
                header = json.loads(lines.readline())
            except ValueError:
                return {}
        return header if isinstance(header, dict) else {}

    def score_path(self, name: str) -> Path:
        """The file of one metric's scores."""
        # Not every system takes the colon of `torchmetrics:ssim` in a file's name.
        return self.path / "scores" / f"{quote(name, safe=_PLAIN_IN_FILES)}.jsonl"

    def drop_scores(self, name: str) -> None:
        """Removes the scores of one metric, where there are any."""
        remove(self.score_path(name), inside=self.path)

    def scored(self) -> list[str]:
        """Names of the metrics that have scores."""
        return sorted(unquote(path.stem) for path in (self.path / "scores").glob("*.jsonl"))


def append_lines(path: Path, rows: Sequence[Mapping[str, Any]], *, inside: Path | None = None) -> None:
    """Appends JSON lines in one write; a line that a kill cut off before is closed first.

    Raises `PrefbenchError` where the file is a link, or lies behind one below the folder `inside`.
    """
    if not rows:
        return
    text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    with explained_disk_errors(path), open_append(path, inside=inside) as stream:
        if stream.seek(0, os.SEEK_END) and not _ends_with_newline(stream):
            stream.write(b"\n")
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file. A line that a kill cut off is left out, with a warning while it is the last one."""
    rows: list[dict[str, Any]] = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    with suppress(ValueError):  # of an undamaged file all at once, in half the time
        content = json.loads(f"[{','.join(lines)}]")
        if len(content) == len(lines) and all(isinstance(row, dict) for row in content):
            return list(content)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            # Lines after it were written by the command that continued the run: what it lost has been done again.
            level = logging.WARNING if number == len(lines) else logging.DEBUG
            logger.log(level, "%s line %d is cut off and left out; the same command does it again", path, number)
    return rows


@contextmanager
def explained_disk_errors(path: Path) -> Iterator[None]:
    """Turns a full disk, a used-up quota or a limit on file sizes into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = f"no space left while writing {path}; make room and run the same command again"
            raise PrefbenchError(message) from error
        raise


def _ends_with_newline(stream: BinaryIO) -> bool:
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"

"""The run folder. JSON lines while a run lives, whole files written atomically, images named by their digest."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import PrefbenchError, Sample, encode_png, image_digest
from prefbench.api.reports import Bar, no_bar
from prefbench.api.stored import FORMAT
from prefbench.files import check_own, read_plain, remove, remove_leftovers, write_atomic
from prefbench.run import images
from prefbench.run.arrays import unpacked
from prefbench.run.collection import seldom_collected
from prefbench.run.description import ADVICE, description_text, owner_of, read_description
from prefbench.run.journal import Journal, Owner
from prefbench.run.lines import sha256
from prefbench.run.nearby import no_run
from prefbench.run.origins import origin_check, place_check
from prefbench.run.row_kinds import (
    PROFILES,
    REPRESENTATIONS,
    SAMPLES,
    STARTS,
    ProfileRow,
    RepresentationRow,
    RowKind,
    StartRow,
)
from prefbench.run.tables import table_bytes
from prefbench.run.verified import note_verified, state_of

R = TypeVar("R")
logger = logging.getLogger(__name__)
NAMES = ".names"
_PLAIN_IN_FILES = " ()=,+"


class RunFolder:
    """Reads and writes one run. The layout is in the documentation."""

    suffix = ""
    """Of the files whose rows this one adds; those of all are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner: Owner | None = None

    def write_description(self, content: Mapping[str, Any]) -> None:
        """Writes `run.json`."""
        self._write(self.path / "run.json", description_text(content))
        self._owner = None

    def read_description(self) -> dict[str, Any]:
        """The content of `run.json`. Raises `PrefbenchError` where there is none or it cannot be relied on."""
        try:
            return read_description(self.path / "run.json")
        except FileNotFoundError:
            raise PrefbenchError(no_run(self.path)) from None

    def begin(self, content: Mapping[str, Any]) -> None:
        """Takes rows of the run of a description that is written after them."""
        self._owner = owner_of({**content, "format": FORMAT})

    def absolute(self) -> Self:
        """The same folder by its full path."""
        same = copy(self)
        same.path = self.path.absolute()
        return same

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds what several processes that share the locked folder write; a folder like this one is not shared."""
        yield

    @contextmanager
    def making(self, history: str) -> Iterator[ProfileRow | None]:  # noqa: ARG002
        """Wraps the making of a profile; yields the row of one that another process has made meanwhile."""
        yield None

    @property
    def owner(self) -> Owner:
        """What the rows of the folder must agree with; of a folder without `run.json`, today's format."""
        if self._owner is None and (self.path / "run.json").exists():
            self._owner = owner_of(self.read_description())
        return self._owner or Owner(FORMAT, "")

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

    def names_secret(self) -> str | None:
        """What the names that the run's method sees follow from; None where nothing was drawn yet."""
        path = self.path / NAMES
        try:
            secret = read_plain(path, 100).decode(errors="replace").strip()
        except FileNotFoundError:
            return None
        if not re.fullmatch("[0-9a-f]{32}", secret):
            raise PrefbenchError(f"{path} is damaged (it holds no secret of 32 digits); {ADVICE}")
        return secret

    def keep_names_secret(self, secret: str) -> str:
        """The secret that is kept, this one where there is none: a run that goes on shows its method the same names."""
        with self.alone():
            if (kept := self.names_secret()) is None:
                self._write(self.path / NAMES, secret + "\n")
        return kept or secret

    def _write(self, path: Path, data: bytes | str) -> None:
        """Writes a whole file of the folder."""
        write_atomic(path, data, inside=self.path)

    @seldom_collected()
    def samples(self) -> dict[str, Sample]:
        """The last row of every sample, by key. Raises `PrefbenchError` for a row that cannot be relied on."""
        rows: dict[str, Sample] = {}
        fault = self._origin()
        for path in sorted((self.path / "samples").glob("*.jsonl")):
            journal = replace(self._journal(f"samples/{path.name}", SAMPLES), fault=fault)
            rows.update((sample.key, sample) for sample in journal.rows())
        return rows

    def _origin(self) -> Callable[[Sample], str]:
        """What is wrong with where a sample says it is from; nothing while the run is not described yet."""
        if not (self.path / "run.json").exists():
            return lambda _: ""
        description = self.read_description()
        return (
            origin_check(description, self.profiles().values()) if self.owner.format == 1 else place_check(description)
        )

    @seldom_collected()
    def finished(self, bar: Bar = no_bar, only: Collection[str] | None = None) -> dict[str, Sample]:
        """Samples that need not be drawn again: their stored image shows what its name says. Others are warned of.

        Images whose files have changed since they were written are decoded, which can take long: `bar` shows how far
        that is. `only` names the keys that are asked for.
        """
        rows = {key: row for key, row in self.samples().items() if only is None or key in only}
        drawn = {key: sample for key, sample in rows.items() if sample.image}
        stored = {sample.image or "" for sample in drawn.values()}
        if not stored:
            return {}
        with bar("read images", len(stored), "img") as advance:
            intact = images.intact(self.path, stored, advance)
        if damaged := sorted(stored - intact):
            text = "%d of %d stored images are missing or damaged and are drawn again, such as %s"
            logger.warning(text, len(damaged), len(stored), self.image_path(damaged[0]))
            return {key: sample for key, sample in drawn.items() if sample.image in intact}
        return drawn

    def append_samples(self, samples: Iterable[Sample], *, worker: str = "0") -> None:
        """Adds rows in one write and flushes them to disk."""
        self._journal(f"samples/{worker}.jsonl", SAMPLES).append(list(samples))

    def _journal(self, name: str, kind: RowKind[R]) -> Journal[R]:
        return Journal(self.path, name, self.owner, kind)

    def image_path(self, digest: str) -> Path:
        return images.image_path(self.path, digest)

    def put_image(self, image: Image.Image) -> str:
        """Stores an image once, in the place of a damaged one too, and returns its digest."""
        digest = image_digest(image)
        if not images.is_intact(self.path, digest):
            self.put_encoded(digest, encode_png(image))
        return digest

    def put_encoded(self, digest: str, png: bytes) -> None:
        """Stores an image as the PNG that `encode_png` makes of it."""
        images.make_room(self.path, digest)
        self._write(self.image_path(digest), png)
        if (state := state_of(str(self.image_path(digest)))) is not None:
            note_verified(self.path, [(digest, state)])

    def image(self, digest: str) -> Image.Image:
        """A stored image. Raises `UnreadableImageError` where it is missing, damaged, or not what its name says."""
        return images.read_image(self.path, digest)

    def append_profile(self, row: ProfileRow) -> None:
        """Adds the row of one profile."""
        self._journal(f"profiles{self.suffix}.jsonl", PROFILES).append([row])

    def profiles(self) -> dict[str, ProfileRow]:
        """The last profile row of every history, by the history's digest. Raises as `samples` does."""
        return {row.history: row for row in self._rows("profiles", PROFILES)}

    def _rows(self, stem: str, kind: RowKind[R]) -> Iterator[R]:
        """The rows of a kind, of whoever wrote them."""
        for path in sorted([*self.path.glob(f"{stem}-*of*.jsonl"), self.path / f"{stem}.jsonl"]):
            yield from self._journal(path.name, kind).rows()

    def append_start(self, row: StartRow) -> None:
        """Adds a start of the run."""
        self._journal(f"starts{self.suffix}.jsonl", STARTS).append([row])

    def starts(self) -> list[StartRow]:
        """All starts of the run. Raises as `samples` does."""
        return sorted(self._rows("starts", STARTS), key=lambda row: row.time)

    def put_payload(self, history: str, data: bytes) -> None:
        """Stores what a method made of one history, by the history's digest."""
        self._write(self._payload_path(history), data)

    def payload(self, history: str) -> bytes | None:
        """The bytes that `put_payload` stored; None where it stored none."""
        try:
            return read_plain(self._payload_path(history))
        except FileNotFoundError:
            return None

    def _payload_path(self, history: str) -> Path:
        return self.path / "profiles" / f"{history}.pt"

    def put_representation(self, name: str, data: bytes) -> None:
        """Stores the arrays of one user as an `.npz`, by a name for the user."""
        self._write(self._representation_path(name), data)

    def representation(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of one user, None where there are none. Raises `PrefbenchError` where they cannot be read."""
        try:
            return unpacked(self._representation_path(name))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise PrefbenchError(self.damaged_representation(name, str(error))) from error

    def representation_digest(self, name: str) -> str | None:
        """SHA-256 of the file of one user's arrays; None where there is none."""
        try:
            return sha256(read_plain(self._representation_path(name)))
        except FileNotFoundError:
            return None

    def damaged_representation(self, name: str, reason: str) -> str:
        """The line for a user's arrays that cannot be used."""
        return f"{self._representation_path(name)} is unusable ({reason}); {ADVICE}"

    def states_digest(self) -> str:
        """A digest that changes with what is stored of any user; empty where nothing is."""
        paths = sorted((self.path / "representations").glob("*.npz"))
        hashed = [f"{path.name} {sha256(read_plain(path))}" for path in paths]
        return sha256("\n".join(hashed).encode())[:16] if hashed else ""

    def append_representation(self, row: RepresentationRow) -> None:
        """Adds the row of one user's arrays."""
        self._journal("representations.jsonl", REPRESENTATIONS).append([row])

    def representations(self) -> dict[str, RepresentationRow]:
        """The last row of every user. Raises as `samples` does."""
        return {row.user: row for row in self._journal("representations.jsonl", REPRESENTATIONS).rows()}

    def _representation_path(self, name: str) -> Path:
        return self.path / "representations" / f"{name}.npz"

    def write_scores(self, name: str, header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes the scores of one metric: a header line, then one line per value."""
        self._write(self.score_path(name), table_bytes(header, rows))

    def score_path(self, name: str) -> Path:
        """The file of one metric's scores."""
        # Not every system takes the colon of `torchmetrics:ssim` in a file's name.
        return self.path / "scores" / f"{quote(name, safe=_PLAIN_IN_FILES)}.jsonl"

    def drop_scores(self, name: str) -> None:
        """Removes the scores of one metric, where there are any."""
        remove(self.score_path(name), inside=self.path)

    def scored(self) -> list[str]:
        """Names of the metrics that have scores. Raises `PrefbenchError` for a file whose name is not of our making."""
        paths = sorted((self.path / "scores").glob("*.jsonl"))
        if foreign := [path for path in paths if self.score_path(unquote(path.stem)) != path]:
            raise PrefbenchError(f"{foreign[0]} is named as no file of scores is: move it elsewhere")
        return sorted(unquote(path.stem) for path in paths)

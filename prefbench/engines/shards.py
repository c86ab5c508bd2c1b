"""One run drawn by jobs that start apart and share its folder: each draws a fixed part of the plan.

Each shard has rows in files of its own, so that no two processes write one file, and holds the folder beside the other
shards of the same number. A run of one piece, or of another number of shards, waits until they are through.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from math import floor
from pathlib import Path
from typing import IO, NamedTuple

from filelock import FileLock, Timeout

from prefbench.api import PrefbenchError, Sample
from prefbench.files import check_own, read_plain, remove_leftovers
from prefbench.run.folder import RunFolder
from prefbench.run.plan import Planned
from prefbench.run.row_kinds import ProfileRow

Plan = Sequence[Sequence[Planned]]
_MOST = 100_000
_COUNT = ".shards"
"""The number of shards that the folder is drawn in now."""


class Shard(NamedTuple):
    """One of several parts of a plan."""

    number: int
    """From 1 on."""
    total: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`3/16`. Raises `PrefbenchError` for anything else."""
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip()) if isinstance(text, str) else None
        shard = cls(*map(int, match.groups())) if match else cls(0, 0)
        if not 1 <= shard.number <= shard.total <= _MOST:
            raise PrefbenchError(f"a shard is given as 3/16, the third of 16 parts; got {text!r}")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def file(self) -> str:
        """As files are named by it."""
        return f"{self.number}of{self.total}"

    def part_of(self, plan: Plan) -> Part:
        """The batches of this shard. Raises `PrefbenchError` where there are fewer batches than shards."""
        if len(plan) < self.total:
            raise PrefbenchError(f"shard {self}: the run has batches for {len(plan)} shards at most")
        clean = [i for i in range(1, len(plan)) if plan[i - 1][-1].case.user != plan[i][0].case.user]
        start, stop = (_cut(number, self.total, len(plan), clean) for number in (self.number - 1, self.number))
        users = {planned.case.user for batch in plan[start:stop] for planned in batch}
        others = {planned.case.user for batch in (*plan[:start], *plan[stop:]) for planned in batch}
        return Part(plan[start:stop], frozenset(users & others))


class Part(NamedTuple):
    """What one shard draws."""

    plan: Plan
    parted: frozenset[str]
    """Users whose samples lie in other shards too."""


def _cut(number: int, total: int, batches: int, clean: Sequence[int]) -> int:
    """Where the shard after `number` others begins: the nearest place less than a quarter of a shard away that parts
    no user's samples, which are the `clean` ones.
    """
    exact = batches * number / total
    near = [place for place in clean if abs(place - exact) < batches / total / 4]
    if number in (0, total) or not near:
        return floor(exact + 0.5)
    return min(near, key=lambda place: (abs(place - exact), place))


class ShardFolder(RunFolder):
    """A run folder as one shard writes it. What it reads is of all.

    Args:
        path: of the run.
        shard: whose rows are written.
        parted: digests of histories that other shards draw for too.
    """

    def __init__(self, path: Path, shard: Shard, parted: Iterable[str] = ()) -> None:
        super().__init__(path)
        self.shard, self.suffix = shard, f"-{shard.file}"
        self._parted = frozenset(parted)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder beside other shards of as many. Raises `PrefbenchError` where it is held otherwise."""
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            with self.alone():
                self._hold_own(held)
                self._hold_beside(held)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits for what another shard is about to write that all share."""
        self.path.mkdir(parents=True, exist_ok=True)
        check_own(self.path / ".beginning")
        with FileLock(self.path / ".beginning"):
            yield

    @contextmanager
    def making(self, history: str) -> Iterator[ProfileRow | None]:
        """Of a history that several shards draw for, one makes the profile while the others wait for its row."""
        if history not in self._parted:
            yield None
            return
        (self.path / "profiles").mkdir(exist_ok=True)
        with FileLock(self.path / "profiles" / f".{history}.lock"):
            yield self.profiles().get(history)

    def append_samples(self, samples: Sequence[Sample], *, worker: str = "0") -> None:  # type: ignore[override]
        """Adds rows in one write to the shard's own file."""
        super().append_samples(samples, worker=worker + self.suffix)

    def _hold_own(self, held: ExitStack) -> None:
        lock = FileLock(self.path / f".lock{self.suffix}")
        check_own(self.path / f".lock{self.suffix}")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise PrefbenchError(f"shard {self.shard} of {self.path} is being drawn by another process") from None
        held.callback(lock.release)

    def _hold_beside(self, held: ExitStack) -> None:
        """Holds the lock that others hold alone; the first of some shards says how many there are."""
        flock = _flock(self.path)
        check_own(self.path / ".lock")
        stream = held.enter_context((self.path / ".lock").open("a+"))
        if flock(stream, True):
            remove_leftovers(self.path)
            self._write(self.path / _COUNT, f"{self.shard.total}\n")
            self._write(self.path / ".owner", f"shards of {self.shard.total} (process {os.getpid()})")
        if not flock(stream, False):
            raise PrefbenchError(f"{self.path} is being written by another process; wait for it or use --out")
        if (total := self._total()) != self.shard.total:
            raise PrefbenchError(
                f"{self.path} is being drawn in {total} shards, not in {self.shard.total}: wait for them"
            )

    def _total(self) -> int:
        with suppress(FileNotFoundError, ValueError):
            return int(read_plain(self.path / _COUNT, 100))
        return 0


def is_free(folder: RunFolder) -> bool:
    """Whether nobody writes the folder now."""
    try:
        with RunFolder(folder.path).locked():
            return True
    except PrefbenchError:
        return False


def _flock(path: Path) -> Callable[[IO[str], bool], bool]:
    """Takes a lock of the system on a file, alone or beside others; whether it could."""
    try:
        import fcntl
    except ImportError:
        raise PrefbenchError(f"{path} cannot be drawn in shards: this system has no locks that are shared") from None

    def take(stream: IO[str], alone: bool) -> bool:
        try:
            fcntl.flock(stream, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    return take

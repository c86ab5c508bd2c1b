"""Profiles of a run that several workers draw: each made once, by whichever needs it first, and kept by the driver."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from prefbench.api import History, counted
from prefbench.engines import drawing
from prefbench.engines.crew import AGAIN
from prefbench.engines.workers import Worker, WorkerEndedError, ask
from prefbench.run.folder import RunFolder
from prefbench.run.profiles import MadeProfile, keep_profile
from prefbench.run.row_kinds import ProfileRow


class _Known(NamedTuple):
    row: ProfileRow
    handed: bytes | None
    """The payload as other workers take it, where the folder does not store it."""

    @property
    def is_taken(self) -> bool:
        """Whether a worker takes it as it is, in place of reading it in the folder."""
        return self.row.error is not None or self.handed is not None


class SharedProfiles:
    """Sees to it that a worker has the profiles that it draws with.

    Args:
        histories: of each user.
        folder: of the run, locked by this process.
        writing: held while the folder is written.
        collects: whether workers are handed what the folder stores, which they cannot read.
    """

    def __init__(
        self, histories: Mapping[str, History], folder: RunFolder, writing: threading.Lock, *, collects: bool = False
    ) -> None:
        self._histories, self._folder, self._writing, self._collects = histories, folder, writing, collects
        self._rows = folder.profiles()
        self._known: dict[str, _Known] = {}
        self._told: set[tuple[str, int, str]] = set()
        self._ends: Counter[str] = Counter()
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._locks = threading.Lock()

    def is_lost(self, user: str) -> bool:
        """Whether no row says what the user's profile cost."""
        return self._histories[user].digest not in self._rows

    def tell(self, worker: Worker, user: str) -> None:
        """Has the worker know the user's profile; it makes it where no other has. Another that needs it waits.

        Raises:
            WorkerEndedError: the worker ended; that counts against the profile, which fails in the end.
        """
        told = (worker.name, worker.lives, user)
        with self._locks:
            making = self._making[user]
        with making:
            if told in self._told:
                return
            known = self._known.get(user)
            try:
                if known is not None and known.is_taken:
                    ask(worker, drawing.take_profile, user, known.row, known.handed)
                else:
                    self._make(worker, user)
            except WorkerEndedError as end:
                raise self._blamed(user, end) from end
            self._told.add(told)

    def _make(self, worker: Worker, user: str) -> None:
        digest = self._histories[user].digest
        with self._folder.making(digest) as row:
            before = row or self._rows.get(digest)
            stored = self._folder.payload(digest) if self._collects and before is not None else None
            reply = ask(worker, drawing.profile, user, before, stored)
            if reply.row != before:
                self._keep(reply, before)
        self._known[user] = _Known(reply.row, reply.handed)

    def _keep(self, reply: drawing.ProfileReply, before: ProfileRow | None) -> None:
        with self._writing:
            keep_profile(self._folder, MadeProfile(None, reply.row, reply.data), before)
        self._rows[reply.row.history] = reply.row

    def _blamed(self, user: str, end: WorkerEndedError) -> WorkerEndedError:
        self._ends[user] += 1
        innocent = self._ends[user] <= AGAIN or user not in self._known
        if self._ends[user] > AGAIN and user not in self._known:
            error = f"the worker ended {counted(self._ends[user], 'time')} on the profile: {end.reason}"
            row = ProfileRow(user, self._histories[user].digest, 0.0, 0, 0, 0, "failed", error)
            self._keep(drawing.ProfileReply(row, None, None), self._rows.get(row.history))
            self._known[user] = _Known(row, None)
        return WorkerEndedError(end.reason, innocent=innocent)

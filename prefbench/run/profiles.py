"""What a method makes of every history: once per user, timed, and read back where a run goes on."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from prefbench.api import History, Method, PrefbenchError, Profile
from prefbench.run import payloads
from prefbench.run.folder import RunFolder
from prefbench.run.opaque import OpaqueNames
from prefbench.run.outputs import asking, checked_profile, named
from prefbench.run.peak_memory import peak_memory
from prefbench.run.row_kinds import ProfileRow

logger = logging.getLogger(__name__)


class ProfileSource(Protocol):
    """Whom drawing asks for profiles."""

    def of(self, user: str) -> tuple[Profile | None, str | None]:
        """The profile, or None and the error."""

    def named(self, error: Exception, user: str) -> str:
        """An error that drawing for a user ended in."""


class Profiles:
    """Profiles by user: made once and timed; kept in memory, and on disk as a row and, where plain data, as a file.

    Plain data (`payloads`) reaches the method as it is read back, so a continued run draws from what a fresh one does.
    What is not plain data is made again when a run is continued.
    """

    def __init__(self, method: Method, histories: Mapping[str, History], folder: RunFolder, names: OpaqueNames) -> None:
        self._method, self._histories, self._folder, self._names = method, histories, folder, names
        self._profiles: dict[str, tuple[Profile | None, str | None]] = {}
        self._rows = folder.profiles()

    def restore(self, drawn: Collection[str]) -> None:
        """Makes the profiles of users who were drawn for and whose rows are lost: what a run costs stands on all."""
        for user in sorted(drawn):
            if self._histories[user].digest not in self._rows:
                logger.warning("the row of the profile of %s is lost; it is made again", user)
                self.of(user)

    def of(self, user: str) -> tuple[Profile | None, str | None]:
        """The profile, or None and the error."""
        if user not in self._profiles:
            history = self._histories[user]
            with self._folder.making(history.digest) as row:
                before = row or self._rows.get(history.digest)
                stored = None if before is None else stored_profile(self._folder, history, before)
                self._profiles[user] = (stored, None) if stored is not None else self._make(history, before)
        return self._profiles[user]

    def named(self, error: Exception, user: str) -> str:
        """An error that drawing for a user ended in."""
        return self._names.told(named(error, self._histories[user]))

    def _make(self, history: History, before: ProfileRow | None) -> tuple[Profile | None, str | None]:
        made = make_profile(self._method, history, self._names)
        keep_profile(self._folder, made, before)
        return made.profile, made.row.error


class MadeProfile(NamedTuple):
    """What a method made of one history."""

    profile: Profile | None
    """As `generate` receives it, with the suite's id; None where making it failed."""
    row: ProfileRow
    data: bytes | None
    """The bytes that are stored on disk; None where the payload is not plain data."""


def make_profile(method: Method, history: History, names: OpaqueNames) -> MadeProfile:
    """Asks a method for the profile of a history; stores nothing. What fails is a row with its error."""
    shown, plain, error = names.history(history), None, None
    started, seconds = time.perf_counter(), None
    try:
        with asking(method, "profile"):
            profile = method.profile(shown)
            seconds = time.perf_counter() - started
            plain = _plain_profile(method.card.name, profile, shown.user)
    except PrefbenchError as problem:
        error = names.told(named(problem, history))
    seconds = time.perf_counter() - started if seconds is None else seconds
    row = _profile_row(history, plain, error, seconds)
    if plain is None:
        return MadeProfile(None, row, None)
    return MadeProfile(replace(plain.profile, user=history.user), row, plain.data)


def keep_profile(folder: RunFolder, made: MadeProfile, before: ProfileRow | None) -> None:
    """Stores what was made; the row only where it differs from the one `before` by more than its cost."""
    row = made.row
    if before is None or (before.status, before.payload) != (row.status, row.payload):
        folder.append_profile(row)
    if made.data is not None:
        folder.put_payload(row.history, made.data)


def stored_profile(folder: RunFolder, history: History, row: ProfileRow, data: bytes | None = None) -> Profile | None:
    """The profile of a row as its payload is read back; None where none is stored that fits the row.

    `data` are the stored bytes, where these are known.
    """
    data = data or folder.payload(history.digest)
    if data is None or row.status != "ok":
        return None
    if folder.owner.format > 1 and row.payload != hashlib.sha256(data).hexdigest():
        logger.warning("the stored profile of %s is another than was made; it is made again", history.user)
        return None
    try:
        return Profile(history.user, payloads.parse(data), row.trained_parameters)
    except payloads.NotPlainError as error:
        logger.debug("the profile of %s is made again: %s", history.user, error)
        return None


@dataclass(frozen=True)
class _PlainProfile:
    profile: Profile
    """The profile as `generate` receives it."""
    size: int
    """Bytes of the payload as `payloads.dump` writes it."""
    data: bytes | None
    """The bytes stored on disk; None where the payload is not plain data."""


def _plain_profile(method: str, output: Any, user: str) -> _PlainProfile:
    """Raises `PrefbenchError` for anything but a `Profile` of the user with a payload that pickles."""
    profile = checked_profile(method, output, user)
    if profile.payload is None:
        return _PlainProfile(profile, 0, None)
    try:
        data = payloads.dump(profile.payload)
    except payloads.NotPlainError as error:
        raise PrefbenchError(f"{method} returned a profile that does not pickle ({error})") from error
    try:
        return _PlainProfile(replace(profile, payload=payloads.parse(data)), len(data), data)
    except payloads.NotPlainError as error:
        logger.debug("the profile of %s is not stored: %s", user, error)
        return _PlainProfile(profile, len(data), None)


def _profile_row(history: History, plain: _PlainProfile | None, error: str | None, seconds: float) -> ProfileRow:
    return ProfileRow(
        user=history.user,
        history=history.digest,
        seconds=round(seconds, 6),
        bytes=plain.size if plain is not None else 0,
        trained_parameters=plain.profile.trained_parameters if plain is not None else 0,
        peak_memory_bytes=peak_memory(),
        status="ok" if error is None else "failed",
        error=error,
        payload=hashlib.sha256(plain.data).hexdigest() if plain is not None and plain.data is not None else None,
    )

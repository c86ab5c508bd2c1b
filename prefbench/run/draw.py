"""Draws what a plan says: profiles once per user, batches in the plan's order, images stored while the next is drawn.

A call draws the plan's samples that the folder lacks, so the same command again continues a run. A batch that was cut
is drawn again whole, so a run that is continued with the same batches ends with the same images as one that was never
killed; with other batches a pixel can differ by rounding.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import psutil

from prefbench.api import (
    Case,
    Drawing,
    History,
    Method,
    PrefbenchError,
    Profile,
    Request,
    Sample,
    colour_spread,
)
from prefbench.api.guard import reason
from prefbench.models.backbones.texts import AskedFor, TextReader
from prefbench.run import payloads
from prefbench.run.folder import RunFolder
from prefbench.run.outputs import asking, checked_drawings, checked_profile, named, seen
from prefbench.run.plan import Planned
from prefbench.run.progress import Progress
from prefbench.run.row_kinds import ProfileRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    planned: int
    drawn: int
    """Samples drawn by this call; the others were stored already."""
    failed: int
    seconds: float


def draw(
    plan: Sequence[Sequence[Planned]],
    method: Method,
    histories: Mapping[str, History],
    folder: RunFolder,
    *,
    texts: TextReader | None = None,
    progress: Progress | None = None,
    finished: Collection[str] | None = None,
) -> RunResult:
    """Draws every batch of the plan that the folder lacks. The method must be set up; the folder must be locked.

    `texts` counts what the method's backbone reads of them; None leaves that out of the rows. `progress` is told how
    far the drawing is; samples that are stored already are told at once. `finished` are the keys of `folder.finished`,
    where these are known.

    Raises:
        PrefbenchError: the disk is full, or the method broke its contract (what it drew before stays).
    """
    started = time.monotonic()
    finished = set(folder.finished() if finished is None else finished)
    keys = [planned.key for batch in plan for planned in batch]
    progress = progress or Progress(lambda _: None)
    progress.begin(len(keys), sum(key in finished for key in keys))
    progress.drawn(progress.nfe)
    profiles = _Profiles(method, histories, folder)
    _reset_peak_memory()
    profiles.restore({planned.case.user for batch in plan for planned in batch if planned.key in finished})
    n_drawn = 0
    with ThreadPoolExecutor(max_workers=1) as writer:
        pending: Future[None] | None = None
        for batch in plan:
            if all(planned.key in finished for planned in batch):
                continue
            n_new = sum(planned.key not in finished for planned in batch)
            progress.begin(len(batch), n_new)
            samples = _draw_batch(method, profiles, batch, texts)
            progress.drawn(_mean_nfe(samples))
            if pending is not None:
                pending.result()
            pending = writer.submit(_store, folder, samples, finished)
            n_drawn += n_new
        if pending is not None:
            pending.result()
    rows = folder.samples()
    failed = sum(rows[key].status == "failed" for key in keys if key in rows)
    return RunResult(len(keys), n_drawn, failed, time.monotonic() - started)


@dataclass(frozen=True)
class _Outcome:
    planned: Planned
    drawing: Drawing | None
    seconds: float
    error: str | None = None
    unread: Mapping[str, int] = field(default_factory=dict)
    """Fields of its row on texts that were cut."""


def _draw_batch(
    method: Method, profiles: _Profiles, batch: Sequence[Planned], texts: TextReader | None
) -> list[_Outcome]:
    """Draws one batch; what fails becomes a row with its error, without failing the rest of the batch."""
    ready, failed = [], []
    for planned in batch:
        profile, error = profiles.of(planned.case.user)
        if profile is None:
            failed.append(_Outcome(planned, None, 0.0, error))
        else:
            ready.append((planned, Request(_visible(planned.case, method), planned.index, planned.seed, profile)))
    return failed + _generate(method, profiles, ready, texts)


def _visible(case: Case, method: Method) -> Case:
    """The case as the method may see it: the pictures that the user chose and rejected are for controls only."""
    return case if type(method).card.control else replace(case, chosen=None, rejected=None)


def _generate(
    method: Method, profiles: _Profiles, ready: Sequence[tuple[Planned, Request]], texts: TextReader | None
) -> list[_Outcome]:
    if not ready:
        return []
    started = time.perf_counter()
    if texts is not None:
        texts.watch()
    drawings, error = _try_to_generate(method, profiles, [request for _, request in ready])
    seconds = (time.perf_counter() - started) / len(ready)
    if error is not None:
        if len(ready) == 1:
            return [_Outcome(ready[0][0], None, seconds, error)]
        logger.warning("a batch of %d failed (%s); drawing it one by one", len(ready), error)
        return [outcome for one in ready for outcome in _generate(method, profiles, [one], texts)]
    with asking(method, "generate"):
        checked = checked_drawings(method.card.name, drawings, len(ready))
    pairs = [(planned, drawing) for (planned, _), drawing in zip(ready, checked, strict=True)]
    asked = [AskedFor(planned.case.prompt, drawing.prompt_used, planned.seed) for planned, drawing in pairs]
    unread = [{}] * len(pairs) if texts is None else texts.unread_of(asked)
    outcomes = [_Outcome(*pair, seconds=seconds, unread=counts) for pair, counts in zip(pairs, unread, strict=True)]
    with asking(method, "an image"):  # PIL decodes late, and a class of the method's own runs its code
        return [_seen(method, outcome) for outcome in outcomes]


def _seen(method: Method, outcome: _Outcome) -> _Outcome:
    """The outcome with its image as a person sees it, or a failed one where it cannot be seen."""
    assert outcome.drawing is not None
    try:
        with asking(method, "generate"):  # an image may be a plug-in's own class
            return replace(outcome, drawing=seen(method.card.name, outcome.drawing))
    except PrefbenchError as error:
        return _Outcome(outcome.planned, None, outcome.seconds, reason(error))


def _mean_nfe(batch: Sequence[_Outcome]) -> float:
    """Denoiser passes of a picture; 0 where none was drawn."""
    counts = [outcome.drawing.nfe for outcome in batch if outcome.drawing is not None]
    return sum(counts) / len(counts) if counts else 0


def _try_to_generate(method: Method, profiles: _Profiles, requests: Sequence[Request]) -> tuple[Any, str | None]:
    """What the method returned, or the error alone: its traceback would keep memory that the next try needs."""
    try:
        with asking(method, "generate"):
            return method.generate(requests), None
    except PrefbenchError as error:
        return None, profiles.named(error, requests[0].case.user)


def _store(folder: RunFolder, batch: Sequence[_Outcome], finished: set[str]) -> None:
    """Stores the images first and the rows after, so that a row never names an image that is not there."""
    rows = [_row(folder, outcome) for outcome in batch if outcome.planned.key not in finished]
    folder.append_samples(rows)


def _row(folder: RunFolder, outcome: _Outcome) -> Sample:
    planned, drawing = outcome.planned, outcome.drawing
    return Sample(
        key=planned.key,
        user=planned.case.user,
        case=planned.case.id,
        prompt=planned.case.prompt,
        index=planned.index,
        seed=planned.seed,
        status="ok" if drawing is not None else "failed",
        image=folder.put_image(drawing.image) if drawing is not None else None,
        prompt_used=drawing.prompt_used if drawing is not None else None,
        nfe=drawing.nfe if drawing is not None else None,
        seconds=round(outcome.seconds, 6),
        error=outcome.error,
        spread=round(colour_spread(drawing.image), 6) if drawing is not None else None,
        **outcome.unread,
    )


class _Profiles:
    """Profiles by user: made once and timed; kept in memory, and on disk as a row and, where plain data, as a file.

    Plain data (`payloads`) reaches the method as it is read back, so a continued run draws from what a fresh one does.
    What is not plain data is made again when a run is continued.
    """

    def __init__(self, method: Method, histories: Mapping[str, History], folder: RunFolder) -> None:
        self._method, self._histories, self._folder = method, histories, folder
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
            stored = self._stored(history)
            self._profiles[user] = (stored, None) if stored is not None else self._make(history)
        return self._profiles[user]

    def named(self, error: Exception, user: str) -> str:
        """An error that drawing for a user ended in."""
        return named(error, self._histories[user])

    def _make(self, history: History) -> tuple[Profile | None, str | None]:
        started, seconds, plain, error = time.perf_counter(), None, None, None
        try:
            with asking(self._method, "profile"):
                profile = self._method.profile(history)
                seconds = time.perf_counter() - started
                plain = _plain_profile(self._method.card.name, profile, history.user)
        except PrefbenchError as problem:
            error = named(problem, history)
        seconds = time.perf_counter() - started if seconds is None else seconds
        row = _profile_row(history, plain, error, seconds)
        before = self._rows.get(history.digest)
        if before is None or (before.status, before.payload) != (row.status, row.payload):
            self._folder.append_profile(row)
        if plain is not None and plain.data is not None:
            self._folder.put_payload(history.digest, plain.data)
        return plain.profile if plain is not None else None, error

    def _stored(self, history: History) -> Profile | None:
        """The profile of an earlier start of this run."""
        row, data = self._rows.get(history.digest), self._folder.payload(history.digest)
        if row is None or data is None or row.status != "ok":
            return None
        if self._folder.owner.format > 1 and row.payload != hashlib.sha256(data).hexdigest():
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
        peak_memory_bytes=_peak_memory(),
        status="ok" if error is None else "failed",
        error=error,
        payload=hashlib.sha256(plain.data).hexdigest() if plain is not None and plain.data is not None else None,
    )


def _reset_peak_memory() -> None:
    """Forgets what was drawn before in this process; the system's own peak of a process cannot be reset."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_memory() -> int:
    """Peak memory in bytes: of the CUDA device since the draw began where there is one, else of the process."""
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else _peak_of_process()


def _peak_of_process() -> int:
    """Peak resident memory in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # psutil knows the current memory alone on other systems.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def failures(samples: Mapping[str, Sample]) -> Counter[str]:
    """How often each error occurred."""
    return Counter(sample.error or "unknown" for sample in samples.values() if sample.status == "failed")

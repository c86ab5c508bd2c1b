"""What a worker of a run does: it is set up as a run in one process is, makes profiles, draws batches, stores images.

Rows go to who asks: one process writes all rows of a run, so that a worker that outlives it for a moment spoils none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from PIL import Image

from prefbench.api import BackboneCard, Profile, Sample, StyleCard, encode_png, image_digest
from prefbench.probing.plan import ProbePlan, probe_plans
from prefbench.run import payloads
from prefbench.run.draw import draw_batch, stored_rows
from prefbench.run.environment import code_state
from prefbench.run.execute import describe
from prefbench.run.folder import RunFolder
from prefbench.run.outputs import named
from prefbench.run.peak_memory import reset_peak_memory
from prefbench.run.plan import Planned, RunSpec
from prefbench.run.prepare import Prepared, Settings, prepare
from prefbench.run.profiles import make_profile, stored_profile
from prefbench.run.reach import Reach, held_by
from prefbench.run.row_kinds import ProfileRow, RepresentationRow
from prefbench.run.states import collect


class Ready(NamedTuple):
    """A worker that is set up, as the driver needs to know it."""

    spec: RunSpec
    description: Mapping[str, Any]
    """Of the run that it would begin; without the number of planned samples."""
    shown: str
    """The method as tables name it."""
    card: BackboneCard | StyleCard


class Ticket(NamedTuple):
    """One sample to draw: `Planned` without the case, which the worker knows."""

    key: str
    user: str
    prompt: str
    """Of its case."""
    place: int
    """Of the sample among those of its case."""
    seed: int

    @classmethod
    def of(cls, planned: Planned) -> Ticket:
        """Of a sample of the plan."""
        return cls(planned.key, planned.case.user, planned.case.prompt, planned.index, planned.seed)


class ProfileReply(NamedTuple):
    """A profile that a worker has made or found."""

    row: ProfileRow
    data: bytes | None
    """What is stored in the folder; None where that is done, or the payload is not plain data."""
    handed: bytes | None
    """What other workers are handed, where the folder stores nothing."""


class Drawn(NamedTuple):
    """A part that is drawn, its images stored."""

    part: int
    rows: Sequence[Sample]
    images: Mapping[str, bytes]
    """PNG by digest, where who asked stores them too."""


class Collected:
    """Takes images as a run folder does, and hands them over."""

    def __init__(self) -> None:
        self._images: dict[str, bytes] = {}

    def put_image(self, image: Image.Image) -> str:
        """Keeps an image as PNG, and returns its digest."""
        digest = image_digest(image)
        self._images[digest] = encode_png(image)
        return digest

    def taken(self) -> Mapping[str, bytes]:
        """What was kept since this was last asked for."""
        images, self._images = self._images, {}
        return images


@dataclass
class _Work:
    """A prepared run, and what is under way."""

    settings: Settings
    prepared: Prepared
    made: dict[str, tuple[Profile | None, str | None]] = field(default_factory=dict)
    """Profiles by user, or the error."""
    storing: tuple[int, Future[list[Sample]]] | None = None
    collected: Collected | None = None
    """In place of the folder, where this process cannot write into it."""

    def __post_init__(self) -> None:
        self.folder = RunFolder(self.prepared.folder.path.absolute())
        self.writer = ThreadPoolExecutor(max_workers=1)
        self.cases = {(case.user, case.prompt): case for case in self.prepared.cases}

    @cached_property
    def probes(self) -> Mapping[str, ProbePlan]:
        """What the method is asked about each user."""
        suite, histories = self.prepared.suite, self.prepared.histories
        unseen = {user: suite.history(user, "scorer") for user in histories}
        return {plan.user: plan for plan in probe_plans(histories, unseen)}

    def of(self, user: str) -> tuple[Profile | None, str | None]:
        """The profile, or None and the error."""
        return self.made[user]

    def named(self, error: Exception, user: str) -> str:
        """An error that drawing for a user ended in."""
        return self.prepared.names.told(named(error, self.prepared.histories[user]))

    def stored(self) -> list[Drawn]:
        """The part before, once its images are stored."""
        if self.storing is None:
            return []
        (part, rows), self.storing = self.storing, None
        return [Drawn(part, rows.result(), self.collected.taken() if self.collected else {})]


_work: list[_Work] = []


def set_up(settings: Settings, secret: str, collect: bool = False) -> Ready:
    """Prepares the run in this process.

    Args:
        settings: of the run.
        secret: what the method's names follow from in a run that begins.
        collect: hands images over in place of storing them.
    """
    prepared = prepare(settings, secret=secret, planned=False)
    _work[:] = [_Work(settings, prepared, collected=Collected() if collect else None)]
    return Ready(prepared.spec, describe(prepared, code_state()), prepared.shown, prepared.backbone.card)


def begin(secret: str) -> None:
    """Goes on with the names of the run's folder; a method that was set up with others is set up again."""
    names = _work[0].prepared.names
    if names.given and names.secret != secret:
        set_up(_work[0].settings, secret)
    _work[0].prepared.names.renew(secret)
    reset_peak_memory()


def profile(user: str, row: ProfileRow | None, stored: bytes | None = None) -> ProfileReply:
    """Finds the profile of a row, in what is `stored` or else in the folder, or makes it."""
    work = _work[0]
    history = work.prepared.histories[user]
    found = None if row is None else stored_profile(work.folder, history, row, stored)
    if row is not None and found is not None:
        work.made[user] = found, None
        return ProfileReply(row, None, None)
    made = make_profile(work.prepared.method, history, work.prepared.names)
    work.made[user] = made.profile, made.row.error
    is_handed = made.profile is not None and made.data is None
    handed = payloads.dump(made.profile.payload) if is_handed and made.profile is not None else None
    return ProfileReply(made.row, made.data, handed)


def take_profile(user: str, row: ProfileRow, handed: bytes | None) -> None:
    """Takes a profile that another worker of this run has made, or how its making failed."""
    work, made = _work[0], None
    error = row.error
    if error is None and handed is not None:
        try:
            payload = payloads.parse_own(handed, str(work.prepared.backbone.device))
            made = Profile(user, payload, row.trained_parameters)
        except payloads.NotPlainError as problem:
            error = f"the profile that another worker made does not unpickle ({problem})"
    work.made[user] = made, error


def draw(part: int, tickets: Sequence[Ticket], finished: Collection[str]) -> list[Drawn]:
    """Draws a batch, whose images are stored while the next is drawn; returns the part before with its rows.

    Args:
        part: its number.
        tickets: its samples; the profiles of their users are known here.
        finished: keys that are stored already: drawn again with the others, and not stored.
    """
    work = _work[0]
    prepared = work.prepared
    batch = [Planned(one.key, work.cases[one.user, one.prompt], one.place, one.seed) for one in tickets]
    outcomes = draw_batch(prepared.method, work, batch, prepared.backbone.texts, prepared.names)
    before = work.stored()
    work.storing = part, work.writer.submit(stored_rows, work.collected or work.folder, outcomes, finished)
    return before


def flush() -> list[Drawn]:
    """The last part, once its images are stored."""
    return _work[0].stored()


def represent(user: str) -> tuple[RepresentationRow, bytes | None]:
    """What the method knows of a user."""
    work = _work[0]
    return collect(work.probes[user], work.prepared.method, work.prepared.names)


def reach() -> list[Reach]:
    """What the method holds once it has drawn."""
    return held_by(_work[0].prepared.method)

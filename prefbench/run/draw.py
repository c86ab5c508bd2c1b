"""Draws what a plan says: profiles once per user, batches in the plan's order, images stored while the next is drawn.

A call draws the plan's samples that the folder lacks, so the same command again continues a run. A batch that was cut
is drawn again whole, so a run that is continued with the same batches ends with the same images as one that was never
killed; with other batches a pixel can differ by rounding.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from PIL import Image

from prefbench.api import (
    Case,
    Drawing,
    History,
    Method,
    PrefbenchError,
    Request,
    Sample,
    colour_spread,
)
from prefbench.api.guard import reason
from prefbench.models.backbones.texts import AskedFor, TextReader
from prefbench.run.folder import RunFolder
from prefbench.run.opaque import OpaqueNames
from prefbench.run.outputs import asking, checked_drawings, seen
from prefbench.run.peak_memory import reset_peak_memory
from prefbench.run.plan import Planned
from prefbench.run.profiles import Profiles, ProfileSource
from prefbench.run.progress import Progress

logger = logging.getLogger(__name__)
_AT_ONCE = 4
"""Images that are stored at one time."""


class ImageStore(Protocol):
    """Takes drawn images, as `RunFolder` does."""

    def put_image(self, image: Image.Image) -> str:
        """Stores an image and returns its digest."""


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
    names: OpaqueNames | None = None,
) -> RunResult:
    """Draws every batch of the plan that the folder lacks. The method must be set up; the folder must be locked.

    `texts` counts what the method's backbone reads of them; None leaves that out of the rows. `progress` is told how
    far the drawing is; samples that are stored already are told at once. `finished` are the keys of `folder.finished`,
    where these are known. `names` are those that the method sees in place of the suite's ids, and was set up with.

    Raises:
        PrefbenchError: the disk is full, or the method broke its contract (what it drew before stays).
    """
    started = time.monotonic()
    finished = set(folder.finished() if finished is None else finished)
    keys = [planned.key for batch in plan for planned in batch]
    progress = progress or Progress(lambda _: None)
    progress.begin(len(keys), sum(key in finished for key in keys))
    progress.drawn(progress.nfe)
    names = names or OpaqueNames(folder.names_secret())
    profiles = Profiles(method, histories, folder, names)
    reset_peak_memory()
    profiles.restore({planned.case.user for batch in plan for planned in batch if planned.key in finished})
    n_drawn = 0
    with ThreadPoolExecutor(max_workers=1) as writer:
        pending: Future[None] | None = None
        for batch in plan:
            if all(planned.key in finished for planned in batch):
                continue
            n_new = sum(planned.key not in finished for planned in batch)
            progress.begin(len(batch), n_new)
            samples = draw_batch(method, profiles, batch, texts, names)
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
class Outcome:
    """How the drawing of one sample ended."""

    planned: Planned
    drawing: Drawing | None
    seconds: float
    error: str | None = None
    unread: Mapping[str, int] = field(default_factory=dict)
    """Fields of its row on texts that were cut."""


def draw_batch(
    method: Method, profiles: ProfileSource, batch: Sequence[Planned], texts: TextReader | None, names: OpaqueNames
) -> list[Outcome]:
    """Draws one batch; what fails becomes a row with its error, without failing the rest of the batch."""
    ready, failed = [], []
    for planned in batch:
        profile, error = profiles.of(planned.case.user)
        if profile is None:
            failed.append(Outcome(planned, None, 0.0, error))
        else:
            request = Request(_visible(planned.case, method), planned.index, planned.seed, profile)
            ready.append((planned, names.request(request)))
    return failed + _generate(method, profiles, ready, texts)


def _visible(case: Case, method: Method) -> Case:
    """The case as the method may see it: the pictures that the user chose and rejected are for controls only."""
    return case if type(method).card.control else replace(case, chosen=None, rejected=None)


def _generate(
    method: Method, profiles: ProfileSource, ready: Sequence[tuple[Planned, Request]], texts: TextReader | None
) -> list[Outcome]:
    if not ready:
        return []
    started = time.perf_counter()
    if texts is not None:
        texts.watch()
    drawings, error = _try_to_generate(method, profiles, ready)
    seconds = (time.perf_counter() - started) / len(ready)
    if error is not None:
        if len(ready) == 1:
            return [Outcome(ready[0][0], None, seconds, error)]
        logger.warning("a batch of %d failed (%s); drawing it one by one", len(ready), error)
        return [outcome for one in ready for outcome in _generate(method, profiles, [one], texts)]
    with asking(method, "generate"):
        checked = checked_drawings(method.card.name, drawings, len(ready))
    pairs = [(planned, drawing) for (planned, _), drawing in zip(ready, checked, strict=True)]
    asked = [AskedFor(planned.case.prompt, drawing.prompt_used, planned.seed) for planned, drawing in pairs]
    unread = [{}] * len(pairs) if texts is None else texts.unread_of(asked)
    outcomes = [Outcome(*pair, seconds=seconds, unread=counts) for pair, counts in zip(pairs, unread, strict=True)]
    with asking(method, "an image"):  # PIL decodes late, and a class of the method's own runs its code
        return [_seen(method, outcome) for outcome in outcomes]


def _seen(method: Method, outcome: Outcome) -> Outcome:
    """The outcome with its image as a person sees it, or a failed one where it cannot be seen."""
    assert outcome.drawing is not None
    try:
        with asking(method, "generate"):  # an image may be a plug-in's own class
            return replace(outcome, drawing=seen(method.card.name, outcome.drawing))
    except PrefbenchError as error:
        return Outcome(outcome.planned, None, outcome.seconds, reason(error))


def _mean_nfe(batch: Sequence[Outcome]) -> float:
    """Denoiser passes of a picture; 0 where none was drawn."""
    counts = [outcome.drawing.nfe for outcome in batch if outcome.drawing is not None]
    return sum(counts) / len(counts) if counts else 0


def _try_to_generate(
    method: Method, profiles: ProfileSource, ready: Sequence[tuple[Planned, Request]]
) -> tuple[Any, str | None]:
    """What the method returned, or the error alone: its traceback would keep memory that the next try needs."""
    try:
        with asking(method, "generate"):
            return method.generate([request for _, request in ready]), None
    except PrefbenchError as error:
        return None, profiles.named(error, ready[0][0].case.user)


def _store(folder: RunFolder, batch: Sequence[Outcome], finished: set[str]) -> None:
    """Stores the images first and the rows after, so that a row never names an image that is not there."""
    folder.append_samples(stored_rows(folder, batch, finished))


def stored_rows(folder: ImageStore, batch: Sequence[Outcome], finished: Collection[str]) -> list[Sample]:
    """Stores the images of a batch, and returns the rows of what was not `finished` before.

    Some at a time: most of the storing is waiting for the disk, which takes several files together.
    """
    new = [outcome for outcome in batch if outcome.planned.key not in finished]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(partial(_row, folder), new))


def _row(folder: ImageStore, outcome: Outcome) -> Sample:
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


def failures(samples: Mapping[str, Sample]) -> Counter[str]:
    """How often each error occurred."""
    return Counter(sample.error or "unknown" for sample in samples.values() if sample.status == "failed")

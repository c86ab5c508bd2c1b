"""What was found of the images that a suite expects: each is read once, and each that is not there is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from prefbench.api import (
    Grid,
    PictureCounts,
    Sample,
    UnreadableImageError,
    agreeing,
    colour_spread,
    count_pictures,
    counted,
    image_digest,
)
from prefbench.api.pictures import read_picture
from prefbench.api.reports import Bar, no_bar
from prefbench.run.given.image import GivenImage, GivenImages
from prefbench.run.given.targets import Place, Targets
from prefbench.run.plan import Planned

State = Literal["found", "missing", "unreadable"]
_NAMED = 5
"""Lines of each kind that a table shows; the others are counted."""


@dataclass(frozen=True)
class Expected:
    """One image that is expected, and what was found of it."""

    planned: Planned
    place: Place
    state: State
    image: GivenImage | None = None
    digest: str | None = None
    spread: float | None = None
    reason: str = ""
    """Why it is not found."""

    @property
    def name(self) -> str:
        """The image as messages name it."""
        user, case, sample = self.place
        return f"{user} {case}-{sample}"

    def row(self, key: str) -> Sample:
        """The row of a run for it: an image, or a sample that failed since there is none."""
        planned, image = self.planned, self.image
        return Sample(
            key=key,
            user=planned.case.user,
            case=planned.case.id,
            prompt=planned.case.prompt,
            index=planned.index,
            seed=planned.seed,
            status="ok" if self.digest is not None else "failed",
            image=self.digest,
            prompt_used=image.prompt_used if image is not None else None,
            seconds=image.seconds if image is not None else None,
            error=None if self.digest is not None else self.reason or "no image was given",
            spread=round(self.spread, 6) if self.spread is not None else None,
        )


@dataclass(frozen=True)
class Coverage:
    """What was found of all images that are expected."""

    method: str
    suite: str
    expected: Sequence[Expected]
    users: int
    unused: Sequence[str]
    """What was given and is not used, in words."""
    duplicates: Sequence[str]
    """Images that are given again for a sample, with the same pixels."""
    conflicts: Sequence[str]
    """Images that are given for a sample that has another: nothing tells which one counts."""
    samples: int
    copies: int = 0
    """Images that are, pixel for pixel, pictures that users of the suite judged."""

    def of(self, state: State) -> list[Expected]:
        """The images of one state."""
        return [one for one in self.expected if one.state == state]

    @property
    def complete(self) -> bool:
        """Whether each expected image is there."""
        return all(one.state == "found" for one in self.expected)

    @cached_property
    def rows(self) -> Sequence[Sample]:
        """The rows of a run for what is expected, with the keys of the plan that it was looked for by."""
        return [one.row(one.planned.key) for one in self.expected]

    @cached_property
    def pictures(self) -> PictureCounts:
        """Pictures of one colour, and equal ones."""
        return count_pictures(self.rows)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what a run stores of these images: other images are another run."""
        return hashlib.sha256(json.dumps([_content(row) for row in self.rows]).encode()).hexdigest()

    @property
    def seeds(self) -> str:
        """How many images say the seed that their sample has, in words."""
        given = [one for one in self.expected if one.image is not None and one.image.seed is not None]
        as_planned = sum(one.image is not None and one.image.seed == one.planned.seed for one in given)
        return f"{as_planned} of {counted(len(self.expected), 'image')} drawn from the exported seed" if given else ""

    @property
    def hint(self) -> str:
        """What to do where every case has the same number of images, and fewer than are expected."""
        per_case = {(user, case): 0 for user, case, _ in (one.place for one in self.expected)}
        for one in self.of("found"):
            per_case[one.place[:2]] += 1
        each = {*per_case.values()}
        if len(each) == 1 and 0 < (n := each.pop()) < self.samples:
            return f"every case has {counted(n, 'image')}: --samples {n} expects no more"
        return ""

    def lines(self) -> list[str]:
        """What somebody should look at, in words."""
        return [line for line in (*self.pictures.lines, *copied(self.copies, len(self.of("found"))), self.hint) if line]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        named = {f"{state}": [_said(one) for one in self.of(state)] for state in ("missing", "unreadable")}
        return {
            "method": self.method,
            "suite": self.suite,
            "expected": len(self.expected),
            "found": len(self.of("found")),
            **named,
            "unused": list(self.unused),
            "duplicate": [*self.duplicates, *self.conflicts],
            "complete": self.complete,
            "notes": self.lines(),
        }

    def grid(self) -> Grid:
        """The counts, each with the first that it is about."""
        cases = len(self.expected) // self.samples
        whole = f"{counted(self.users, 'user')}, {counted(cases, 'case')}, {counted(self.samples, 'sample')} of each"
        rows = [
            ("expected", str(len(self.expected)), whole),
            ("found", str(len(self.of("found"))), ""),
            _row("missing", [_said(one) for one in self.of("missing")]),
            _row("unreadable", [_said(one) for one in self.of("unreadable")]),
            _row("unused", self.unused),
            _row("duplicate", [*self.conflicts, *self.duplicates]),
        ]
        return Grid(f"{self.method}: images for {self.suite}", ("images", "n", ""), [rows], self.lines(), words=(0, 2))


def copied(copies: int, images: int) -> list[str]:
    """That images were not drawn but taken from the suite."""
    line = f"{copies:,} of {counted(images, 'image')} {agreeing(copies, 'is', 'are')} no drawing but what a user judged"
    return [line] * bool(copies)


def cover(method: str, suite: str, given: GivenImages, targets: Targets, bar: Bar = no_bar) -> Coverage:
    """Finds the image of each sample that is expected, and reads it; `bar` shows how far the reading is."""
    places, strays = targets.assigned(given.images)
    with bar("read images", sum(map(len, places.values())), "img") as advance:
        read: dict[Place, list[Expected]] = {}
        for place, images in places.items():
            read[place] = [_read(targets.by_place[place], place, image) for image in images]
            advance(len(images))
    chosen = {place: _first(several) for place, several in read.items()}
    absent = {place: Expected(planned, place, "missing") for place, planned in targets.by_place.items()}
    again = [(chosen[place], one) for place, several in read.items() for one in several if one is not chosen[place]]
    sentences = [(f"{_origin(other)}: {one.name} is {_origin(one)} already", one, other) for one, other in again]
    return Coverage(
        method,
        suite,
        [chosen.get(place, none) for place, none in absent.items()],
        len(targets.cases),
        [*strays, *given.unused],
        [f"{line}, the same picture" for line, one, other in sentences if one.digest == other.digest],
        [f"{line}, another picture" for line, one, other in sentences if one.digest != other.digest],
        targets.samples,
    )


def _read(planned: Planned, place: Place, image: GivenImage) -> Expected:
    """What a file shows, or why it shows nothing."""
    if image.fault:
        state: State = "missing" if image.absent else "unreadable"
        return Expected(planned, place, state, image, reason=f"{image.origin}: {image.fault}")
    try:
        picture = read_picture(image.path)
    except UnreadableImageError as error:
        said = str(error).removeprefix(f"{image.path}: ").replace(str(image.path), image.path.name)
        reason = f"{image.origin}: {said}"
        return Expected(planned, place, "unreadable", image, reason=reason)
    return Expected(planned, place, "found", image, image_digest(picture), colour_spread(picture))


def _first(several: Sequence[Expected]) -> Expected:
    """The first that can be read; else the first."""
    return next((one for one in several if one.state == "found"), several[0])


def _origin(one: Expected) -> str:
    return "" if one.image is None else one.image.origin


def _said(one: Expected) -> str:
    return f"{one.name} ({one.reason})" if one.reason else one.name


def _row(name: str, lines: Sequence[str]) -> tuple[str, str, str]:
    more = [f"and {len(lines) - _NAMED:,} more"] if len(lines) > _NAMED else []
    return name, str(len(lines)), "\n".join([*lines[:_NAMED], *more])


def _content(row: Sample) -> Mapping[str, Any] | list[Any]:
    """What is stored of a row beside the key, which follows from it."""
    return [row.user, row.prompt, row.index, row.image, row.prompt_used, row.seconds, row.error]

"""The data that the checks of an audit share: the run, its suite, what the suite shows and keeps back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from PIL import ImageOps

from prefbench.api import SPLITS, Case, History, PrefbenchError, Sample, Split, Suite, colour_spread
from prefbench.api.near import unknown
from prefbench.api.reports import Bar, no_bar
from prefbench.check.duplicates import Thumbnails, stacked, thumbnail
from prefbench.registry import load, names
from prefbench.run.folder import RunFolder
from prefbench.run.plan import Planned, RunSpec, make_plan
from prefbench.run.prepare import controlled
from prefbench.score.score_files import samples_digests

from .contents import SuiteContents


def split_of(spec: Mapping[str, Any]) -> Split:
    """The split of a run. Raises `PrefbenchError` for a spec that names none."""
    for split in SPLITS:
        if spec.get("split") == split:
            return split
    raise PrefbenchError(unknown("split of the run", str(spec.get("split")), list(SPLITS)))


@dataclass(frozen=True)
class AuditedRun:
    """One run to be audited. Whatever is damaged raises where a check first asks for it."""

    folder: RunFolder
    suite: Suite
    contents: SuiteContents
    bar: Bar = no_bar
    """Shows how far the checks of pictures are."""
    rows: Iterable[Sample] | None = None
    """The stored rows, where they were read before."""
    no_fresh: str = ""
    """Why fresh users that were asked for cannot be made."""

    @cached_property
    def description(self) -> Mapping[str, Any]:
        return self.folder.read_description()

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.description["spec"]
        return spec

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """All rows, in the order of users and cases."""
        rows = self.folder.samples().values() if self.rows is None else self.rows
        return sorted(rows, key=lambda s: (s.user, s.case, s.index, s.key))

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Key of a row to its place in `samples`."""
        return {sample.key: place for place, sample in enumerate(self.samples)}

    @cached_property
    def samples_digests(self) -> Sequence[str]:
        """The digests that scores of these rows may name."""
        return samples_digests(self.samples, self.folder.owner)

    @cached_property
    def cases(self) -> Mapping[str, Case]:
        """The cases of the split, by id."""
        return {case.id: case for user in self.suite.users(self.contents.split) for case in self.suite.cases(user.id)}

    @cached_property
    def histories(self) -> Mapping[str, History] | None:
        """The users' histories, under the run's control; None under a control from a file, which is not loaded."""
        limit, control = self.spec["users"], self.spec["control"]
        users = self.suite.users(self.contents.split)[:limit]
        histories = {user.id: self.contents.histories[user.id] for user in users}
        if control is None:
            return histories
        if control not in names("control"):
            return None
        return controlled(control, load("control", control), histories)

    @cached_property
    def plan(self) -> Mapping[str, Planned] | None:
        """The samples that the run's spec plans, by key; None where its histories are not known."""
        if self.histories is None:
            return None
        spec = RunSpec(**{field.name: self.spec[field.name] for field in fields(RunSpec)})
        cases = [case for user in self.histories for case in self.suite.cases(user)]
        return {planned.key: planned for batch in make_plan(spec, cases, self.histories) for planned in batch}

    @cached_property
    def damaged(self) -> Mapping[str, str]:
        """Digest of an image that a row names to what is wrong with the file."""
        return {digest: fault for digest, fault in self._pictures.items() if isinstance(fault, str)}

    @cached_property
    def drawn(self) -> Sequence[Sample]:
        """The rows whose image can be read."""
        return [s for s in self.samples if s.image is not None and s.image not in self.damaged]

    @cached_property
    def thumbnails(self) -> Thumbnails:
        """Thumbnails of the drawn rows, in their order."""
        return stacked([self._pictures[sample.image or ""][0] for sample in self.drawn])

    @cached_property
    def mirrored(self) -> Thumbnails:
        """Thumbnails of the drawn rows' images, mirrored left to right."""
        return stacked([self._pictures[sample.image or ""][1] for sample in self.drawn])

    @cached_property
    def measured(self) -> Sequence[Sample]:
        """The drawn rows with the spread of the images as they are now; rows of older folders store none."""
        return [replace(sample, spread=self._pictures[sample.image or ""][2]) for sample in self.drawn]

    @cached_property
    def _pictures(self) -> Mapping[str, Any]:
        """Digest to the thumbnails of the image and of its mirror image and its spread, or to the file's fault."""
        digests = {sample.image for sample in self.samples if sample.image is not None}
        with self.bar("read images", len(digests), "img") as advance:
            pictures = {}
            for digest in digests:
                pictures[digest] = self._reduced(digest)
                advance(1)
        return pictures

    def _reduced(self, digest: str) -> Any:
        try:
            image = self.folder.image(digest)
        except PrefbenchError as error:
            return str(error)
        return thumbnail(image), thumbnail(ImageOps.mirror(image)), colour_spread(image)

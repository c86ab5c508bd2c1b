"""The samples and images of one run, as metrics read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from prefbench.api import (
    Picture,
    Pixels,
    PrefbenchError,
    Sample,
    Split,
    Suite,
    UnreadableImageError,
    User,
    counted,
    plain,
    to_pixels,
)
from prefbench.run.folder import RunFolder
from prefbench.run.images import OWN_COMMAND
from prefbench.score.score_files import samples_digest


@dataclass(frozen=True)
class Material:
    """A run folder with its suite, as it was when it was first read; samples lie in the order of their keys."""

    folder: RunFolder
    suite: Suite
    split: Split
    lost: Mapping[str, str] = field(default_factory=dict)
    """Images that cannot be read and are set aside, by their digests, with the reasons."""

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """All stored samples, failed ones too."""
        return [sample for _, sample in sorted(self.folder.samples().items())]

    @cached_property
    def drawn(self) -> Sequence[Sample]:
        """The samples that have an image, without those that are set aside."""
        return [sample for sample in self.samples if sample.image is not None and sample.image not in self.lost]

    @cached_property
    def users(self) -> Sequence[User]:
        """The users of the run's samples, in the suite's order."""
        present = {sample.user for sample in self.samples}
        return [user for user in self.suite.users(self.split) if user.id in present]

    @cached_property
    def categories(self) -> Mapping[tuple[str, str], str]:
        """Those of cases that have one, by user and case."""
        cases = [case for user in self.users for case in self.suite.cases(user.id)]
        return {(case.user, case.id): case.category for case in cases if case.category}

    @cached_property
    def digest(self) -> str:
        """Changes whenever the set of samples or any image does."""
        return samples_digest(self.samples)

    def pixels(self, digests: Sequence[str]) -> list[Pixels]:
        """Images uint8 (H, W, 3) by their digests. Raises `UnreadableImageError` where one is missing or damaged."""
        return [self._pixels(digest) for digest in digests]

    def _pixels(self, digest: str) -> Pixels:
        try:
            return to_pixels(self.folder.image(digest))
        except UnreadableImageError as error:
            users = ", ".join(sorted({sample.user for sample in self.drawn if sample.image == digest}))
            said = str(error).replace(OWN_COMMAND, self._command)
            picture = Picture(digest, path=self.folder.image_path(digest))
            raise UnreadableImageError(f"{said} (drawn for {users})", picture) from error

    @cached_property
    def _command(self) -> str:
        """What draws a lost image again."""
        command = self.folder.read_description().get("command")
        return plain(command) if isinstance(command, str) and command else OWN_COMMAND

    def holds(self, picture: object) -> bool:
        """Whether a picture is one that was drawn, and none of the suite's."""
        return isinstance(picture, Picture) and picture.path == self.folder.image_path(picture.digest)

    def without_lost(self) -> Material:
        """The material with every image set aside that cannot be read; all are decoded.

        Raises:
            PrefbenchError: none of them can be read.
        """
        lost = dict(self.lost)
        for digest in dict.fromkeys(sample.image for sample in self.drawn if sample.image):
            try:
                self._pixels(digest)
            except UnreadableImageError as error:
                lost[digest] = str(error)
        fewer = replace(self, lost=lost)
        if not fewer.drawn:
            raise PrefbenchError(fewer.lost_line or "no sample is drawn")
        return fewer

    @property
    def lost_line(self) -> str | None:
        """How many images are set aside, such as which; None where none is."""
        drawn = [sample for sample in self.samples if sample.image is not None]
        n_lost = len(drawn) - len(self.drawn)
        first = next(iter(self.lost.values()), "")
        return (
            f"{n_lost} of {counted(len(drawn), 'drawn image')} could not be read, such as {first}" if n_lost else None
        )

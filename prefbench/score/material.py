"""The samples and images of one run, as metrics read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from prefbench.api import Pixels, Sample, Split, Suite, UnreadableImageError, User, to_pixels
from prefbench.run.folder import RunFolder
from prefbench.score.score_files import samples_digest


@dataclass(frozen=True)
class Material:
    """A run folder with its suite, as it was when it was first read; samples lie in the order of their keys."""

    folder: RunFolder
    suite: Suite
    split: Split

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """All stored samples, failed ones too."""
        return [sample for _, sample in sorted(self.folder.samples().items())]

    @cached_property
    def drawn(self) -> Sequence[Sample]:
        """The samples that have an image."""
        return [sample for sample in self.samples if sample.image is not None]

    @cached_property
    def users(self) -> Sequence[User]:
        """The users of the run's samples, in the suite's order."""
        present = {sample.user for sample in self.samples}
        return [user for user in self.suite.users(self.split) if user.id in present]

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
            users = sorted({sample.user for sample in self.drawn if sample.image == digest})
            raise UnreadableImageError(f"{error} (drawn for {', '.join(users)})") from error

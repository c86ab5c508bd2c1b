"""The records of prefbench as frozen data classes. They depend on neither torch, nor file layout, nor any suite."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from prefbench.api.errors import UnreadableImageError
from prefbench.api.pictures import as_seen, decode_image, digest_of_plain, encode_plain, image_digest, read_picture
from prefbench.api.stored import STRICT, Count, Digest, Name, Size, Text

Split = Literal["train", "scorer", "val", "test", "shifted"]
SPLITS: tuple[Split, ...] = ("train", "scorer", "val", "test", "shifted")
"""What methods train on, what scorers are taught by, what choices are made on, what is reported, and, where a suite has
them, users from another population than any of these."""
Viewer = Literal["method", "scorer"]
VIEWERS: tuple[Viewer, ...] = ("method", "scorer")
"""Whose view of a user's judgments: those that methods see, or those that only scorers and references see."""
_SMALL = 2**12
"""Pixels of a picture that takes longer to compress than it is worth."""


@dataclass(frozen=True)
class Picture:
    """One image of a suite: the digest of what a person sees, and where the bytes are. Decoded only when asked."""

    digest: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, image: Image.Image) -> Picture:
        """A picture held in memory."""
        seen = as_seen(image)
        small = seen.width * seen.height <= _SMALL
        return cls(digest_of_plain(seen), data=encode_plain(seen, "BMP" if small else "PNG"))

    def load(self) -> Image.Image:
        """The picture as a person sees it, in RGB, by the rule of `prefbench.api.pictures`.

        Raises:
            UnreadableImageError: it cannot be read, or its pixels have another digest; names the path or the digest.
        """
        try:
            return self._checked()
        except UnreadableImageError as error:
            raise UnreadableImageError(str(error), self) from error

    def _checked(self) -> Image.Image:
        name = self.digest[:12] if self.data is not None or self.path is None else str(self.path)
        if self.data is not None:
            image = decode_image(self.data, origin=name)
        elif self.path is not None:
            image = read_picture(self.path)
        else:
            raise UnreadableImageError(f"{name}: neither a path nor bytes")
        actual = image_digest(image)
        if actual != self.digest:
            message = f"its pixels have the digest {actual[:12]}, the suite says {self.digest[:12]}"
            raise UnreadableImageError(f"{name}: {message}; prefbench.api.image_digest gives the right one")
        return image


@dataclass(frozen=True)
class User:
    """A person, real or simulated; the unit of all statistics. Suites report each `kind` separately."""

    id: str
    split: Split
    kind: str = "user"


@dataclass(frozen=True)
class Judgment:
    """One image with its prompt and whether the user liked it."""

    picture: Picture
    prompt: str
    liked: bool
    pair: str | None = None
    """Judgments with the same pair id were judged against each other. A method is given other ids."""
    rating: float | None = None
    comment: str | None = None
    source: str | None = None
    """The model that drew the image, where known; a method sees only which judgments share one."""


_SHOWN = attrgetter("picture.digest", "prompt", "liked", "pair", "rating", "comment", "source")
"""What digests of histories cover of a judgment."""


@dataclass(frozen=True)
class ProbeItem:
    """A judged picture as a method is asked about it: the label is withheld."""

    picture: Picture
    prompt: str


@dataclass(frozen=True)
class History:
    """The judgments of one user that a method may see, in the suite's order."""

    user: str
    """The suite's id; a method is given another name, new in every run and for each half of a history."""
    liked: tuple[Judgment, ...]
    disliked: tuple[Judgment, ...]

    @cached_property
    def digest(self) -> str:
        """Identifies what a method sees, the user's id in the suite included: the cache key of profiles.

        Of a history that a method is given it is the same in every run, whatever name the user has there.
        """
        parts = [self.user]
        for side in (self.liked, self.disliked):
            parts += [f"{len(side)} judgments", *map(repr, map(_SHOWN, side))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.liked) + len(self.disliked)


@dataclass(frozen=True)
class Case:
    """A user and a prompt to draw for; the prompt is never in the history."""

    id: str
    user: str
    prompt: str
    chosen: Picture | None = None
    rejected: Picture | None = None
    content: Picture | None = None
    """The picture to redraw, for backbones of style transfer; nobody's judgments of it are seen."""
    category: str = ""
    """The prompt of judgments that it belongs to, where its own was never judged: scorers with a model for each prompt
    that was judged often ask by it."""


@dataclass(frozen=True)
class Profile:
    """What a method makes of one history. `payload` must pickle; `None` for methods that keep nothing.

    A payload of plain data (tensors, arrays, numbers, strings, and lists, tuples and dicts of them) is kept on disk:
    `generate` is given what is read back, so tensors arrive on the CPU whatever device they were made on.
    """

    user: str
    payload: Any = None
    trained_parameters: int = 0


@dataclass(frozen=True)
class Request:
    """One image to draw: the case, which of its samples, the seed of that sample, the user's profile."""

    case: Case
    index: int
    seed: int
    profile: Profile

    @property
    def prompt(self) -> str:
        return self.case.prompt


@dataclass(frozen=True)
class Drawing:
    """A method's answer to one request: the image, the prompt it really used, denoiser passes it took.

    The image is stored as a person sees it (`prefbench.api.pictures`): alpha on white, 8 bits, upright. One that has no
    such view, such as one of floats, or over `MAX_PIXELS` pixels, is a failed sample.
    """

    image: Image.Image
    prompt_used: str
    nfe: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a run: a drawn image, or the error that it ended in."""

    __pydantic_config__ = STRICT

    key: Name
    user: Name
    case: Name
    prompt: Text
    index: Count
    seed: Count
    status: Literal["ok", "failed"]
    image: Digest | None = None
    """Digest of the stored image."""
    prompt_used: Text | None = None
    seconds: Size | None = None
    nfe: Count | None = None
    error: Text | None = None
    spread: Size | None = None
    """The picture's `colour_spread`. Rows of older folders have neither this nor what follows."""
    text_limit: Count | None = None
    """Tokens that the backbone's text encoders read of a text; the next fields count those behind."""
    prompt_cut: Count | None = None
    """Tokens of `prompt` that are not read."""
    prompt_used_cut: Count | None = None
    """Tokens of `prompt_used` that were not read."""
    other_cut: Count | None = None
    """Tokens that were not read of the longest other text, such as a negative prompt."""


Bounds = tuple[float | None, float | None]
"""The least and the greatest value that a number can have; None where there is none."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and what it stands on."""

    value: float | None
    low: float | None
    high: float | None
    n_users: int
    n_prompts: int
    n_samples: int
    missing: int
    """Planned samples without a value."""
    n_pairs: int = 0
    """Pairs of a user and a prompt; 0 for values that belong to no prompt."""
    unpaired: int = 0
    """Samples that others it is compared with do not have, and which are left out: not drawn for them, or failed."""
    users_only: bool = False
    """The interval is over users alone, for these prompts: fewer than four are shared, too few to speak of others."""
    shared: int | None = None
    """Prompts that more than one user has; None where that is not known."""
    alike: bool = False
    """No user and no shared prompt differs from another, so that the interval knows of single exceptions alone."""

"""What is worth saying of a run's drawings before any metric: equal pictures, pictures of one colour, texts cut."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from prefbench.api.grids import agreeing, counted
from prefbench.api.pictures import as_seen
from prefbench.api.records import Sample

NEAR_CONSTANT = 2.0
"""Pictures whose `colour_spread` is smaller are nearly of one colour. Pictures of picturebook have over 20."""


def colour_spread(image: Image.Image) -> float:
    """How far the pixels lie from the picture's mean colour: root mean square over pixels and channels, 0 to 127.5.

    Exactly 0 for one colour, whichever it is.

    Example:
        >>> colour_spread(Image.new("RGB", (8, 8), "red"))
        0.0
    """
    counts = np.array(as_seen(image).histogram()).reshape(3, 256)
    levels, total = np.arange(256), counts.sum(axis=1, keepdims=True)
    means = (counts * levels).sum(axis=1, keepdims=True) / total
    return float(np.sqrt((counts * (levels - means) ** 2 / total).sum(axis=1).mean()))


@dataclass(frozen=True)
class TextsRead:
    """How many different texts a text encoder was given, and how many it cut."""

    limit: int
    """Tokens that it reads of a text, those of beginning and end included."""
    texts: int
    cut: int
    most: int = 0
    """Tokens that it did not read of the longest text; 0 where that was not counted."""

    @classmethod
    def of(cls, limit: int, unread: Iterable[int]) -> TextsRead:
        """The counts of texts, from the tokens of each that were not read."""
        tokens = list(unread)
        return cls(limit, len(tokens), sum(n > 0 for n in tokens), max(tokens, default=0))

    def line(self, what: str, by: str = "") -> str:
        """The counts in words; `what` is a plural, such as `prompts`, and `by` names the reader."""
        unread = f", up to {counted(self.most, 'token')} not read" if self.most else ""
        return f"{self.cut} of {self.texts} {what} cut at {self.limit} tokens{f' by {by}' if by else ''}{unread}"


@dataclass(frozen=True)
class PictureCounts:
    """How many pictures show nothing, and how many show the same."""

    pictures: int
    different: int
    one_colour: int
    """Of one colour exactly."""
    near_constant: int
    """Of one colour, or with a `colour_spread` under `NEAR_CONSTANT`."""
    other_prompt: int
    """Equal to a picture that was drawn for another prompt."""
    other_user: int
    """Equal to none of those, but to one drawn for another user with the same prompt."""
    other_seed: int
    """Equal to none of those, but to one of another seed."""
    unmeasured: int = 0
    """Without a `colour_spread`: rows of folders that were begun before these were counted."""

    @property
    def lines(self) -> list[str]:
        """What somebody should look at, in words; empty where nothing is."""
        return [*self._flat(), *self._equal()]

    @property
    def in_full(self) -> str:
        """All counts in words."""
        looked_at = f", {self.unmeasured} not looked at for their colours" if self.unmeasured else ""
        counts = f"{self.pictures}, {self.different} different, {self.near_constant} of one colour or nearly"
        return counts + looked_at

    def _flat(self) -> list[str]:
        if not self.near_constant:
            return []
        nearly = self.near_constant > self.one_colour
        rule = f" or nearly (pixels with a standard deviation under {NEAR_CONSTANT:g} of 255)" if nearly else ""
        flat = (
            f"{self.near_constant} of {counted(self.pictures, 'picture')} {agreeing(self.near_constant, 'is', 'are')}"
        )
        return [f"{flat} of one colour{rule}"]

    def _equal(self) -> list[str]:
        kinds = {"prompt": self.other_prompt, "user": self.other_user, "seed": self.other_seed}
        equal = sum(kinds.values())
        if not equal:
            return []
        to_what = ", ".join(f"{n} to one of another {kind}" for kind, n in kinds.items() if n)
        pictures = f"{equal} of {counted(self.pictures, 'picture')} {agreeing(equal, 'equals', 'equal')} another"
        return [f"{pictures} ({to_what}); {self.different} different in all"]


@dataclass(frozen=True)
class DrawnCounts:
    """The counts of one run. Texts are None where nobody counted: rows begun before these were counted."""

    pictures: PictureCounts
    prompts: TextsRead | None = None
    rewritten: TextsRead | None = None
    """Prompts that a method used in place of the original ones."""
    others: TextsRead | None = None
    """Samples that were drawn with a further text, such as a negative prompt, that was cut."""

    @property
    def texts(self) -> list[str]:
        """The counts of cut texts in words, zeros too."""
        read = {"prompts": self.prompts, "rewritten prompts": self.rewritten}
        lines = [one.line(what) for what, one in read.items() if one is not None and one.texts]
        if self.others is not None and self.others.cut:
            lines.append(self.others.line("samples drawn with a negative prompt or other text"))
        return lines

    @property
    def lines(self) -> list[str]:
        """What somebody should look at, in words; empty where nothing is."""
        cut = [line for line in self.texts if not line.startswith("0 ")]
        return [*self.pictures.lines, *cut]


def count_drawn(samples: Sequence[Sample]) -> DrawnCounts:
    """Counts from the rows alone, so that a run of 200,000 takes about a second."""
    return DrawnCounts(count_pictures(samples), *_count_texts(samples))


def count_pictures(samples: Iterable[Sample]) -> PictureCounts:
    """Counts over the rows that have an image."""
    showing: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.image is not None:
            showing[sample.image].append(sample)
    repeated: Counter[str] = Counter()
    for rows in showing.values():
        if len(rows) > 1:
            repeated[_difference(rows)] += len(rows)
    spreads = [row.spread for rows in showing.values() for row in rows]
    return PictureCounts(
        pictures=len(spreads),
        different=len(showing),
        one_colour=spreads.count(0.0),
        near_constant=sum(spread is not None and spread < NEAR_CONSTANT for spread in spreads),
        other_prompt=repeated["prompt"],
        other_user=repeated["user"],
        other_seed=repeated["seed"],
        unmeasured=spreads.count(None),
    )


def _difference(rows: Sequence[Sample]) -> str:
    """What rows of one picture differ in: the first of prompt, user and seed; empty for the same request twice."""
    return next((name for name in ("prompt", "user", "seed") if len({getattr(row, name) for row in rows}) > 1), "")


def _count_texts(samples: Sequence[Sample]) -> tuple[TextsRead | None, TextsRead | None, TextsRead | None]:
    """Of prompts, of rewritten prompts, of samples with further texts."""
    counted = [sample for sample in samples if sample.text_limit is not None]
    if not counted:
        return None, None, None
    limit = min(sample.text_limit or 0 for sample in counted)
    prompts = {sample.prompt: sample.prompt_cut or 0 for sample in counted}
    rewritten = {s.prompt_used: s.prompt_used_cut or 0 for s in counted if s.prompt_used not in (None, s.prompt)}
    others = [sample.other_cut or 0 for sample in counted]
    return TextsRead.of(limit, prompts.values()), TextsRead.of(limit, rewritten.values()), TextsRead.of(limit, others)

"""What every form is written from: runs as plain rows, with the numbers as they were stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from prefbench.api import ALL, Grid, Sample, ScoredRun, SummaryRow, encode_png

from .portable import portable_text, portable_value

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class SampleRow:
    """One drawn or failed sample with its value of every per-image column; None where it has none."""

    key: str
    user: str
    kind: str
    case: str
    prompt: str
    prompt_used: str | None
    index: int
    seed: int
    status: str
    error: str | None
    """Without the folders of the machine that it failed on."""
    image: str | None
    """Digest of the picture's size and pixels."""
    seconds: float | None
    nfe: int | None
    scores: Mapping[str, float | None]
    shown: bool
    """Whether the picture is among those that are handed over."""


@dataclass(frozen=True)
class RunRows:
    """One run: what it is, its summary, its samples and pictures."""

    label: str
    """As tables show it."""
    name: str
    """The same as a name of a file, unique within an export."""
    is_control: bool
    settings: Mapping[str, Plain]
    """All that decides what was drawn, flat: `parameters.scale` for a parameter."""
    command: str
    begun: datetime
    commit: str | None
    versions: Mapping[str, str]
    summary: Sequence[SummaryRow]
    """As stored, over all users and by kind, and what the comparison adds, such as win rates; in tables' order."""
    cost: Mapping[str, float | None]
    worst: Sequence[str]
    """What somebody should look at before any number."""
    shown: frozenset[str] = field(repr=False)
    """Keys of the samples whose pictures are handed over."""
    source: ScoredRun = field(repr=False)

    @property
    def drawn(self) -> int:
        """How many samples have a picture."""
        return sum(sample.image is not None for sample in self.source.samples)

    @property
    def failed(self) -> int:
        """How many samples failed."""
        return sum(sample.status == "failed" for sample in self.source.samples)

    @property
    def left_out(self) -> int:
        """How many pictures are not handed over."""
        return self.drawn - len(self.shown)

    @property
    def undrawn(self) -> int:
        """How many planned samples the run has no row of."""
        return self.source.undrawn

    @cached_property
    def columns(self) -> Mapping[str, Sequence[float | None]]:
        """Every per-image column, one value per sample."""
        columns = {name: one.scores.values for name, one in self.source.columns().items() if one.unit == "image"}
        return {name: [None if np.isnan(v) else float(v) for v in values] for name, values in columns.items()}

    def of_all(self) -> list[SummaryRow]:
        """The rows over all users."""
        return [row for row in self.summary if row.kind == ALL]

    def samples(self) -> Iterator[SampleRow]:
        """Every sample in the run's order, failed ones too."""
        columns = self.columns
        for i, sample in enumerate(self.source.samples):
            yield self._row(sample, {name: values[i] for name, values in columns.items()})

    def _row(self, sample: Sample, scores: Mapping[str, float | None]) -> SampleRow:
        return SampleRow(
            key=sample.key,
            user=sample.user,
            kind=self.source.kinds[sample.user],
            case=sample.case,
            prompt=sample.prompt,
            prompt_used=sample.prompt_used,
            index=sample.index,
            seed=sample.seed,
            status=sample.status,
            error=None if sample.error is None else portable_text(sample.error),
            image=sample.image,
            seconds=sample.seconds,
            nfe=sample.nfe,
            scores=scores,
            shown=sample.key in self.shown,
        )

    def png(self, digest: str) -> bytes:
        """A picture as PNG. Raises `PrefbenchError` where it is missing or damaged."""
        return encode_png(self.source.image(digest))


@dataclass(frozen=True)
class Export:
    """Runs that belong into one table."""

    runs: Sequence[RunRows]
    suite: str
    split: str
    table: Grid
    """The headline numbers as a terminal shows them, with what their marks mean."""
    rows: str
    """Every number of the comparison as CSV, differences to a baseline and p values too."""


def plain_row(row: SummaryRow) -> dict[str, Any]:
    """A row of a summary as plain data: its numbers to the last digit, its texts without folders of a machine."""
    return {**portable_value(asdict(row)), "won_by": list(row.won_by)}


def shown_samples(samples: Sequence[Sample], most: int) -> frozenset[str]:
    """The keys of at most so many drawn samples: of every user in turn, of a user the first of each case first."""
    turns: list[tuple[int, int, str]] = []
    taken: dict[str, int] = {}
    for sample in sorted(samples, key=lambda one: one.index):
        if sample.image is not None:
            turn = taken[sample.user] = taken.get(sample.user, -1) + 1
            turns.append((turn, len(turns), sample.key))
    return frozenset(key for _, _, key in sorted(turns)[:most])


def parsed_time(text: str | None) -> datetime:
    """A stored time; now, in whole seconds, where there is none that can be read."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.now(UTC).replace(microsecond=0)
    return time if time.tzinfo else time.replace(tzinfo=UTC)

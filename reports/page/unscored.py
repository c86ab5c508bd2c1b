"""Runs that are not scored yet, or not as they are now: a page shows their pictures and no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from prefbench.api import (
    Column,
    Cost,
    DrawnCounts,
    PrefbenchError,
    Sample,
    ScoredRun,
    ScoreHeader,
    SummaryRow,
    count_drawn,
)


def is_scored(run: ScoredRun) -> bool:
    """Whether a run has scores of all that it holds now."""
    try:
        run.columns()
        return bool(run.summary())
    except PrefbenchError:
        return False


class UnscoredRun:
    """A run without its scores. Implements `prefbench.api.ScoredRun`."""

    def __init__(self, run: ScoredRun) -> None:
        self._run = run

    @property
    def path(self) -> Path:
        return self._run.path

    @property
    def description(self) -> Mapping[str, Any]:
        return self._run.description

    @property
    def spec(self) -> Mapping[str, Any]:
        return self._run.spec

    @property
    def method(self) -> str:
        return self._run.method

    @property
    def control(self) -> str | None:
        return self._run.control

    @property
    def samples(self) -> Sequence[Sample]:
        return self._run.samples

    @property
    def kinds(self) -> Mapping[str, str]:
        return self._run.kinds

    @property
    def undrawn(self) -> int:
        return self._run.undrawn

    @property
    def headers(self) -> Mapping[str, ScoreHeader]:
        """None."""
        return {}

    def columns(self) -> Mapping[str, Column]:
        """None."""
        return {}

    def set_metrics(self) -> Mapping[str, ScoreHeader]:
        """None."""
        return {}

    def set_values(self, metric: str) -> Mapping[str, float | None]:  # noqa: ARG002
        """None."""
        return {}

    def recipes(self) -> Mapping[str, str]:
        """None."""
        return {}

    def summary(self) -> Sequence[SummaryRow]:
        """None."""
        return []

    def cost(self) -> Cost:
        """Not known yet."""
        return Cost(None, None, None, None, None, None)

    def drawn(self) -> DrawnCounts:
        """Counted from the rows."""
        return count_drawn(self.samples)

    def image(self, digest: str) -> Image.Image:
        return self._run.image(digest)

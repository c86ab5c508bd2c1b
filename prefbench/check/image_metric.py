"""Checks of per-image metrics."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prefbench.api import DrawnImages, Evidence, Features, ImageMetric, Picture, PrefbenchError, Scored, counted
from prefbench.check.columns import Columns, as_text, check_columns, check_finite
from prefbench.check.findings import Check, fail, warn
from prefbench.check.made_up import PROMPTS, MadeUpTruth, made_up_features, made_up_history

_WIDTH = 16
_USERS = 20
"""Enough for 1,000 pairs of a user and another user's held-out like."""
_ROUNDING = 1e-6


def _no_features(pictures: Sequence[Picture]) -> Features:
    raise PrefbenchError(f"the metric names no extractor: no features of {counted(len(pictures), 'judged picture')}")


class ImageMetricChecks:
    """Twelve samples of three users: noise, plain colours, black and white; two have the same pixels."""

    def __init__(self, metric: ImageMetric) -> None:
        rng = np.random.default_rng(0)
        noise = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(6)]
        plain = [np.full((32, 32, 3), level, np.uint8) for level in (0, 60, 128, 200, 255)]
        self._metric = metric
        self._samples = [
            Scored(f"key-{i:02d}", f"val-{i // 4:04d}", PROMPTS[i % 3], picture)
            for i, picture in enumerate([*noise, *plain, noise[0]])
        ]
        self._features = rng.standard_normal((len(self._samples), _WIDTH))
        self._features[3] = 0  # has no direction: a cosine must be None here and not NaN
        texts = {prompt: rng.standard_normal(_WIDTH) for prompt in PROMPTS}
        users = [f"val-{i:04d}" for i in range(_USERS)]
        self._evidence = Evidence(
            MadeUpTruth() if metric.card.asks_truth else None,
            texts if metric.extractor == "text" else {},
            {viewer: {user: made_up_history(user, viewer) for user in users} for viewer in metric.card.asks_histories},
            made_up_features if metric.extractor else _no_features,
        )

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        return {
            "columns": self.columns,
            "values": self.values,
            "bounds": self.bounds,
            "repeats": self.repeats,
            "order of samples": self.order,
            "batches": self.batches,
            "inputs untouched": self.untouched,
        }

    def _images(self, rows: Sequence[int] | None = None) -> DrawnImages:
        """Copies of some samples and all that belongs to them, so that no check sees what a metric did in another."""
        rows = range(len(self._samples)) if rows is None else rows
        samples = [replace(self._samples[i], pixels=self._samples[i].pixels.copy()) for i in rows]
        features = self._features[list(rows)] if self._metric.extractor else None
        return DrawnImages(samples, features, copy.deepcopy(self._evidence))

    def _score(self, rows: Sequence[int] | None = None) -> Columns:
        return self._metric.score(self._images(rows))

    def columns(self) -> str:
        """The metric's own name first, then its parts, one value per sample in each."""
        return check_columns(self._score(), self._metric.card.name, len(self._samples), "samples")

    def values(self) -> str:
        """Numbers or None; a metric that knows no value must not say NaN."""
        columns = self._score()
        check_finite(columns)
        numbers = [value for value in columns[self._metric.card.name] if value is not None]
        if not numbers:
            warn("no sample got a value")
        return f"{len(numbers)} of {counted(len(self._samples), 'sample')}, {min(numbers):.4g} to {max(numbers):.4g}"

    def bounds(self) -> str:
        """The metric's own column stays within the card's bounds."""
        low, high = self._metric.card.bounds
        numbers = [v for v in self._score()[self._metric.card.name] if v is not None]
        outside = [v for v in numbers if (low is not None and v < low) or (high is not None and v > high)]
        if outside:
            fail(f"{outside[0]:.6g} is outside the card's bounds {low} to {high}")
        return f"{low} to {high}"

    def repeats(self) -> str:
        """The same samples again get equal values."""
        if as_text(self._score()) != as_text(self._score()):
            fail("the same samples got other values")
        return "equal"

    def order(self) -> str:
        """Reversed samples get the reversed values."""
        rows = range(len(self._samples))
        return self._agree(self._score(), [self._score(rows[::-1])], reverse=True)

    def batches(self) -> str:
        """Users scored one by one get what they get together; one user is never cut."""
        users = [range(start, start + 4) for start in range(0, len(self._samples), 4)]
        return self._agree(self._score(), [self._score(rows) for rows in users])

    def untouched(self) -> str:
        """Scoring changes nothing that it was given."""
        images, before = self._images(), self._images()
        self._metric.score(images)
        if _listed_samples(images.samples) != _listed_samples(before.samples):
            fail("the metric changed its samples")
        if images.features is not None and not np.array_equal(images.features, self._features):
            fail("the metric changed its features")
        texts = before.evidence.text_features
        if any(not np.array_equal(texts[prompt], vector) for prompt, vector in images.evidence.text_features.items()):
            fail("the metric changed its text features")
        return "samples and features"

    @staticmethod
    def _agree(whole: Columns, pieces: Sequence[Columns], *, reverse: bool = False) -> str:
        largest = 0.0
        for column, values in whole.items():
            joined = [v for piece in pieces for v in piece[column]]
            for a, b in zip(values, joined[::-1] if reverse else joined, strict=True):
                if (a is None) != (b is None):
                    fail(f"{column} is {a} and then {b}")
                difference = abs((a or 0) - (b or 0)) / max(1.0, abs(a or 0))
                if not difference <= _ROUNDING:
                    fail(f"{column} is {a} and then {b}")
                largest = max(largest, difference)
        return f"values differ by {largest:.2g}"


def _listed_samples(samples: Sequence[Scored]) -> list[tuple[str, str, str, bytes]]:
    return [(s.key, s.user, s.prompt, s.pixels.tobytes()) for s in samples]

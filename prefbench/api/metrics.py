"""What a metric is: samples, or sets of features, to numbers that its card says how to read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from prefbench.api.errors import PrefbenchError
from prefbench.api.features import Features, FeatureSet
from prefbench.api.grids import counted
from prefbench.api.pictures import Pixels
from prefbench.api.records import Bounds, History, Picture, Viewer
from prefbench.api.representations import UserStates
from prefbench.api.scorers import Scorer
from prefbench.api.suites import Truth

Question = Literal["fidelity", "adherence", "preference", "side"]
"""What a metric asks of the drawn images: the four are never mixed into one number."""


@dataclass(frozen=True)
class MetricCard:
    """What a metric measures and how to read it. `recipe` names every choice that moves the number."""

    name: str
    version: str
    summary: str
    question: Question
    direction: Literal["up", "down"]
    unit: Literal["image", "set", "user"]
    recipe: str
    bounds: Bounds = (None, None)
    """Least and greatest value of all its columns."""
    proportion: bool = False
    """Whether most values may lie at one of two bounds, as shares and probabilities do: intervals over images then
    allow for exceptions so rare that a run may hold none."""
    source: str | None = None
    asks_truth: bool = False
    """Whether it needs the suite's truth; only then does it get to see it."""
    asks_histories: tuple[Viewer, ...] = ()
    """Which of the users' judgments it needs: `method`, those that methods see; `scorer`, those that no method sees."""
    asks_representations: bool = False
    """Whether it needs what methods know of users; `prefbench run` then keeps it where a method offers any."""
    undirected: tuple[str, ...] = ()
    """Columns of which neither more nor less is better: tables show them without an arrow, and no method wins one."""
    won_by: tuple[str, ...] = ()
    """Controls that can win it without doing what it asks; tables mark it so."""
    won_how: str = ""
    """How they win it, as the end of a sentence that names them."""
    scale: str = ""
    """What the values of its own column mean, such as `0 is chance`, for the note under a table."""
    pixel_columns: tuple[str, ...] = ()
    """Columns that are measured on pixels alone, of a metric that names an extractor; their headers name none."""
    least: int = 0
    """Of a metric over sets, the number of images a side below which its value is marked `few`."""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}[{self.recipe}]"


@dataclass(frozen=True)
class Scored:
    """A drawn sample as metrics see it: key, user, original prompt, pixels uint8 (H, W, 3) as a person sees them."""

    key: str
    user: str
    prompt: str
    pixels: Pixels
    category: str = ""
    """That of its case, for metrics by a `CrossFittedScorer`; else empty."""


class ImageMetric(ABC):
    """One value per sample."""

    card: ClassVar[MetricCard]
    extractor: ClassVar[str | None] = None
    """The role of the extractor it needs (`text`, `fidelity`), or None."""
    mllm: str | None = None
    """The language model that it asks, or None."""

    @property
    def scorer(self) -> Scorer | None:
        """The learned model of preference that its numbers come from, where there is one."""
        return None

    @abstractmethod
    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """Column name to one value per sample; the first is the metric's own name, further ones are its parts."""


class SetMetric(ABC):
    """One value for a set of samples against a set of references."""

    card: ClassVar[MetricCard]
    extractor: ClassVar[str] = "fidelity"

    @abstractmethod
    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The value. Raises `NotMeasurableError` where there are too few samples for it to mean anything."""

    @property
    def resampling(self) -> Resampling:
        """How permutation tests and jackknives get their values; a metric with a faster way returns its own."""
        return Resampling(self)


class Resampling:
    """Values of a set metric under permuted labels, and without some rows: here by comparing the changed sets again.

    A subclass may prepare what does not change from one permutation or group to the next; its numbers are the same.
    """

    def __init__(self, metric: SetMetric) -> None:
        self.metric = metric

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """The statistic of the user-level permutation test: metric(first) - metric(second), as a function of marks.

        Before both are measured, the two methods' images of every marked user change sides. Both sets hold the same
        users and prompts row by row; the function takes one mark per user, in the order of their names.
        """
        rows = np.unique(first.users, return_inverse=True)[1]

        def difference(marked: NDArray[np.bool_]) -> float:
            swapped = marked[rows][:, None]
            own = FeatureSet(np.where(swapped, second.features, first.features), first.users, first.prompts)
            other = FeatureSet(np.where(swapped, first.features, second.features), first.users, first.prompts)
            return self.metric.compare(own, reference) - self.metric.compare(other, reference)

        return difference

    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        """The value without each group of rows in turn, on both sides.

        The groups (N,) and (M,) of all rows count from 0, each with drawn rows; rows of group -1 always stay. What a
        metric takes from all references, such as a kernel's width, may stay that of all. Raises `NotMeasurableError`
        as `compare` does.
        """
        return [
            self.metric.compare(drawn.select(of_drawn != group), reference.select(of_reference != group))
            for group in range(of_drawn.max() + 1)
        ]


class UserMetric(ABC):
    """One value per user, whose mean over users is the statistic."""

    card: ClassVar[MetricCard]
    extractor: ClassVar[str | None] = None
    """The role of the extractor whose features of judged pictures it needs, or None."""

    @abstractmethod
    def score(self, users: Sequence[str], evidence: Evidence) -> Mapping[str, Sequence[float | None]]:
        """Column name to one value per user, None where there is none; the first column is the metric's own name.

        A statistic of all users together is given as influence values: what each user adds to it, to first order.
        Raises `NotMeasurableError` where there are too few users for it to mean anything.
        """


def _no_features(pictures: Sequence[Picture]) -> Features:
    raise PrefbenchError(f"features of {counted(len(pictures), 'judged picture')} asked for without an extractor")


@dataclass(frozen=True)
class Evidence:
    """What a metric may read beside the samples: text features, the suite's truth, the users' judgments."""

    truth: Truth | None
    text_features: Mapping[str, Features]
    """Prompt to its vector (D,) under the metric's extractor."""
    histories: Mapping[Viewer, Mapping[str, History]] = field(default_factory=dict)
    """For each viewer that the metric's card names, user to judgments: all users of the run, in the suite's order."""
    judged_features: Callable[[Sequence[Picture]], Features] = _no_features
    """Features (N, D) of judged pictures under the metric's extractor, extracted once per run."""
    representations: Mapping[str, UserStates] = field(default_factory=dict)
    """User to what the method knows of them, where the metric's card asks for it and the run kept it."""


@dataclass(frozen=True)
class DrawnImages:
    """What a per-image metric is given: samples, whole users at a time, and what goes with them."""

    samples: Sequence[Scored]
    features: Features | None
    """(N, D), one row per sample, under the metric's extractor; None for a metric that names none."""
    evidence: Evidence


Metric = ImageMetric | SetMetric | UserMetric

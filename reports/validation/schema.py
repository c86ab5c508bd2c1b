"""The result of a validation as it is stored: plain data, with None for what could not be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from prefbench.stats.ranks import Correlation

from .claims import Claim, ClaimOutcome, Interval

Values = Mapping[str, float | None]
"""One number per key: of a set-level metric its stored values, of a method its value in every metric."""


class RequiredRow(TypedDict):
    """Something that is required, what was measured, and whether it holds: None where it could not be told."""

    what: str
    found: float | None
    passed: bool | None


class MethodCorrelations(TypedDict):
    """Methods or systems by their values in every metric, and how far each metric ranks them as the truth does."""

    methods: dict[str, dict[str, float | None]]
    lacking: list[str]
    """Metrics that only some of them were scored by."""
    tau: dict[str, Correlation]
    """With true utility."""
    tau_liked: NotRequired[dict[str, Correlation]]
    """With the true probability that a picture is liked as an answer to its prompt."""
    required: NotRequired[list[RequiredRow]]


class DosePoint(Interval):
    """A metric's value at one strength; `p` against strength 0."""

    strength: float
    p: float | None
    missing: NotRequired[int]
    floor: NotRequired[float | None]


class Dose(TypedDict):
    """How a metric responds to the strength of personalisation."""

    points: list[DosePoint]
    spearman: float | None
    monotone: bool | None
    detected: float | None
    """The smallest strength that is better than 0 at p < 0.05."""


class LevelEffect(Interval):
    """The effect of one level of a nuisance on a metric."""

    level: float


class LadderRow(TypedDict):
    """One metric under one nuisance: the claim, the effect at every level, and the outcome at the strongest."""

    metric: str
    nuisance: str
    claim: Claim
    reason: str
    against: float
    before: str
    effects: list[LevelEffect]
    unit: float | None
    in_units: float | None
    """The effect of the strongest level in the metric's unit."""
    tolerance: float | None
    verdict: ClaimOutcome


class Ladders(TypedDict):
    """All metrics under all nuisances."""

    rows: list[LadderRow]
    not_measured: list[str]
    """Metrics with expectations that were not measured."""


class Rate(TypedDict):
    """A share of `n` with its 95 % interval."""

    rate: float | None
    low: float | None
    high: float | None
    n: int


class FalsePositives(Rate):
    """How often identical methods are told apart: by the test, and by each of the two p values that it combines."""

    student: float | None
    flips: float | None
    rests_on: float | None
    """Users that differences rest on, in the median."""


class Coverage(Rate):
    """How often intervals hold the mean; the shares of those that lie wholly above and below it."""

    above: float | None
    below: float | None


class SizePoint(TypedDict):
    """A metric over subsets of `n` pictures."""

    n: int
    mean: float
    sd: float
    bias: float


class SizeCurve(TypedDict):
    """How a metric's value depends on the number of pictures."""

    points: list[SizePoint]
    limit: float | None
    gap: float | None
    told: bool
    """Whether strength 0.5 is told from strength 0 at all."""
    enough: int | None
    steady: int | None


class PickedGain(TypedDict):
    """The gain of pictures picked by one likeness, where the scorer is given the judgments of one viewer."""

    judgments: str
    picked_by: str
    slope: float
    gain: Interval
    utility_gain: Interval
    inflation: Interval


class Parts(TypedDict):
    """The measurements, one part per question."""

    per_image: dict[str, Correlation]
    per_user: dict[str, Correlation]
    of_systems: MethodCorrelations
    of_runs: NotRequired[MethodCorrelations]
    dose: dict[str, Dose]
    ladders: Ladders
    identical: dict[str, FalsePositives]
    identical_mixed: dict[str, FalsePositives]
    differing_by_prompt: dict[str, FalsePositives]
    identical_sets: dict[str, Rate]
    coverage: dict[str, Coverage]
    coverage_of_sets: dict[str, Coverage]
    sizes: dict[str, SizeCurve]
    leakage: dict[str, list[PickedGain]]


class MetricRecord(TypedDict):
    """A metric that was validated, as its card describes it."""

    direction: str
    unit: str
    question: str
    recipe: str
    default: bool
    """Whether the suite's own table shows it."""
    extractor: NotRequired[str]
    """The encoder that its numbers rest on; older results lack it."""


class ValidationResult(TypedDict):
    """A whole validation."""

    command: str
    suite: str
    suite_digest: str
    scale: Mapping[str, Any]
    """The fields of `ValidationSize`."""
    metrics: dict[str, MetricRecord]
    left_out: dict[str, str]
    parts: Parts
    requirements: Sequence[RequiredRow]
    versions: Mapping[str, str | None]
    hardware: Mapping[str, Any]
    commit: str | None
    dirty: bool | None

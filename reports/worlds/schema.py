"""The comparison of worlds as it is stored: plain data, with None for what could not be measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from prefbench.stats.ranks import Correlation


class Place(TypedDict):
    """Where a method stands in one world: its rank by mean true utility, and the ranks that no test excludes."""

    mean: float
    rank: int
    low: int
    high: int


class MetricTau(TypedDict):
    """How far a metric ranks the methods of one world as the truth does."""

    tau: Correlation
    unranked: list[str]
    """Why the metric must not rank some of these methods; empty where it may rank all."""


class WorldRecord(TypedDict):
    """One world: what it is, what was drawn in it, who stands where, and which metric finds that."""

    name: str
    dials: Mapping[str, Any]
    """Parameters of the suite that are not its own."""
    split: str
    suite_digest: str
    n_users: int
    n_prompts: int
    n_samples: int
    """Samples of each method that all methods have a true utility for."""
    missing: int
    """Samples that some method lacks one for."""
    order: dict[str, Place]
    metrics: dict[str, MetricTau | None]
    """None where not every method of the world has values."""


class WorldPair(TypedDict):
    """How far two worlds rank alike."""

    first: str
    second: str
    tau: Correlation
    tau_of_methods: Correlation | None
    """Without controls; None for fewer than three methods."""
    turned: int
    """Pairs of methods that change places."""
    beyond_chance: int
    """Those of them that stand apart in either world."""


class Side(TypedDict):
    """One world's difference of two methods; p is adjusted after Holm over all pairs in all worlds."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None


class Turn(TypedDict):
    """Two methods of which either is ahead somewhere."""

    first: str
    second: str
    differences: dict[str, Side]
    """World to the first's mean true utility minus the second's."""
    beyond_chance: bool
    """Whether either is ahead beyond chance somewhere."""


class MethodRecord(TypedDict):
    """A method or control that was drawn in every world."""

    control: bool
    commands: dict[str, str]
    """World to the command that drew it."""


class MetricRecord(TypedDict):
    """A metric that the runs were scored with."""

    direction: str
    unit: str
    extractor: str


class WorldsResult(TypedDict):
    """Methods over worlds."""

    suite: str
    backbone: str
    backbone_digest: str
    seed: int
    samples_per_case: int
    shared: Mapping[str, Any]
    """Parameters of the suite that no world lacks and that are not the suite's own."""
    replicates: int
    methods: dict[str, MethodRecord]
    metrics: dict[str, MetricRecord]
    worlds: list[WorldRecord]
    pairs: list[WorldPair]
    method_pairs: int
    turns: list[Turn]
    date: str
    code: Mapping[str, Any]
    versions: Mapping[str, str | None]

"""An ablation as it is stored: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from ..shared.numbers import Numbers


class VariantDifference(Numbers):
    """A paired difference to the whole method; `p_holm` is adjusted over the variants, for one metric."""

    p: float | None
    seeds: NotRequired[list[float | None]]
    p_holm: NotRequired[float]


class VariantCell(Numbers):
    """A variant in one metric; the whole method has no difference."""

    difference: NotRequired[VariantDifference]
    seeds: NotRequired[list[float | None]]
    """The value by each seed, where there are several; the interval is then for other seeds too."""


class VariantRow(TypedDict):
    """A row of the table."""

    group: str
    name: str
    parameters: Mapping[str, Any]
    metrics: dict[str, VariantCell]


class AblationResult(TypedDict):
    """Variants of a method, the whole one first."""

    method: str
    suite: str
    suite_digest: str
    split: str
    backbone: str
    backbone_digest: str
    seed: int
    steps: int
    samples_per_case: int
    users: int
    training: Mapping[str, int]
    """The amounts of data in every training of a variant."""
    defaults: Mapping[str, float]
    """The whole method's own values of parameters that are swept."""
    command: str
    commit: str | None
    dirty: bool | None
    versions: Mapping[str, str | None]
    hardware: Mapping[str, Any]
    seeds: NotRequired[int]
    """Trainings of every variant; 1 in results of before there were more."""
    rows: list[VariantRow]

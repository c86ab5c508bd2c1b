"""The table of attacks as it is stored: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from ..shared.numbers import Numbers

Outcome = Literal["beats", "ahead", "behind"]
"""An attacker against the best honest method: better beyond the interval, better within it, not better."""


class ColumnDifference(Numbers):
    """A paired difference, of the column that it is computed from."""

    of: str


class Best(Numbers):
    """The best honest method in one metric."""

    method: str


class AttackCell(Numbers):
    """An attacker in one metric."""

    difference: ColumnDifference | None
    verdict: Outcome
    above: list[str]
    """The honest methods that it stands above."""


class Audited(TypedDict):
    """What the last audit of an attacker's samples found."""

    failed: list[str]
    """The checks that caught it; empty where none did."""
    date: str


class Attacker(TypedDict):
    """A row of the table."""

    method: str
    attack: str
    command: str
    cells: dict[str, AttackCell | None]
    audit: NotRequired[Audited | None]
    """None where these samples were not audited; older results lack it."""


class MetricRecord(TypedDict):
    """A column of the table."""

    direction: str
    question: str
    won_by: list[str]
    recipe: str | None
    extractor: NotRequired[str]
    """The encoder that its numbers rest on; older results lack it."""


class AttackResult(TypedDict):
    """Attackers in rows, metrics in columns."""

    suite: str
    suite_digest: str
    split: str
    backbone: str
    backbone_digest: str
    seed: int
    users: int | None
    samples_per_case: int
    steps: int
    guidance: float
    dtype: str
    date: str
    code: Mapping[str, Any]
    versions: Mapping[str, str | None]
    headline: str | None
    """The column that honest methods are ranked by; None where the runs have neither of the two that can be."""
    metrics: dict[str, MetricRecord]
    best: dict[str, Best]
    honest: list[str]
    attackers: list[Attacker]

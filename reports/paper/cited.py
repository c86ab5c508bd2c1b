"""Every number of a paper under a stable name: a LaTeX macro for the text, its stored value for a check."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prefbench.api import ALL, Estimate, SummaryRow

from ..shared.cells import number, p_text
from .material import Curves, Material, Variants

_WORD = re.compile(r"[a-z]+|[A-Z]+[a-z]*|\d")
_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_PREFIX = "pb"


@dataclass(frozen=True)
class Cited:
    """A number as it is stored and as it is printed, and what it is of."""

    value: float
    printed: str
    of: Mapping[str, str]

    @property
    def body(self) -> str:
        """What the macro stands for; of a p value with its relation, for `$p\\macro$`."""
        if self.of["field"] not in ("p", "p_holm"):
            return rf"\num{{{self.printed}}}"
        relation, _, digits = self.printed.removeprefix("p").strip().rpartition(" ")
        return rf"\ensuremath{{{relation or '='}\num{{{digits}}}}}"


class Citations:
    """Numbers by the names of their macros, which are made of what they are of and of letters alone."""

    def __init__(self) -> None:
        self.numbers: dict[str, Cited] = {}

    def add(self, value: float | None, printed: str, **of: str) -> None:
        """One number; none where there is no value. Of two things that would share a name the later gets a letter."""
        if value is None:
            return
        name = macro(*of.values())
        while name in self.numbers:
            name += "B"
        self.numbers[name] = Cited(value, printed, of)

    def row(self, row: SummaryRow | Estimate, **of: str) -> None:
        """A value, its interval and what it stands on."""
        like = row.value
        self.add(like, number(like or 0.0), **of, field="")
        for end in ("low", "high"):
            value = getattr(row, end)
            self.add(value, "" if value is None or like is None else number(value, like), **of, field=end)
        for count in ("n_users", "n_samples", "missing"):
            self.add(getattr(row, count), str(getattr(row, count)), **of, field=count.removeprefix("n_"))

    def p(self, value: float | None, field: str, **of: str) -> None:
        """A p value."""
        self.add(value, p_text(value), **of, field=field)

    def as_tex(self) -> str:
        """One macro a line."""
        lines = [rf"\newcommand{{\{name}}}{{{cited.body}}}" for name, cited in self.numbers.items()]
        return (
            "\n".join(["% Every number of the tables and figures; numbers.json has the stored values.", *lines]) + "\n"
        )

    def as_json(self) -> dict[str, Any]:
        """By the names of macros: the stored value, the printed one, and what it is of."""
        return {name: {"value": one.value, "printed": one.printed, **one.of} for name, one in self.numbers.items()}


def macro(*parts: str) -> str:
    """The name of a macro from words, of letters alone.

    Example:
        >>> macro("ours + other-user", "retrieval@10", "low")
        'pbOursOtherUserRetrievalOneZeroLow'
    """
    text = unicodedata.normalize("NFKD", " ".join(parts))
    words = _WORD.findall(text.encode("ascii", "ignore").decode())
    return _PREFIX + "".join(_DIGITS[int(w)] if w.isdigit() else w[:1].upper() + w[1:] for w in words)


def citations(material: Material, metrics: Iterable[str]) -> Citations:
    """All numbers that tables and figures of these metrics show."""
    cited = Citations()
    chosen = list(metrics)
    for label in material.order:
        for name, row in material.of(label).items():
            if name in chosen or name == material.ranked_by:
                cited.row(row.summary, label=label, metric=name)
                if row.difference is not None:
                    cited.row(row.difference, label=label, metric=name, kind="difference")
                cited.p(row.p_holm, "p_holm", label=label, metric=name)
        for kind in (kind for kind in material.kinds if kind != ALL):
            rows = material.of(label, kind=kind)
            if material.ranked_by in rows:
                cited.row(rows[material.ranked_by].summary, label=label, metric=material.ranked_by, kind=kind)
    for (metric, one, other), p in material.tests.p_holm.items():
        if metric in chosen and {one, other} <= material.ranked:
            cited.p(p, "p_holm", label=one, against=f"against {other}", metric=metric)
    if material.variants is not None:
        _variants(cited, material.variants, chosen)
    for curves in material.curves:
        _curves(cited, curves)
    return cited


def _variants(cited: Citations, variants: Variants, metrics: Iterable[str]) -> None:
    for row in variants.rows:
        name = f"ablation {row['group']} {row['name']}"
        for metric in [metric for metric in metrics if metric in row["metrics"]]:
            cell = row["metrics"][metric]
            difference = cell.get("difference")
            cited.row(estimate_of(cell), label=name, metric=metric)
            if difference is not None:
                cited.row(estimate_of(difference), label=name, metric=metric, kind="difference")
                cited.p(difference.get("p_holm"), "p_holm", label=name, metric=metric)


def _curves(cited: Citations, curves: Curves) -> None:
    for panel in curves.panels:
        for curve in panel.curves:
            for point in curve.points:
                estimate = Estimate(point.value, point.low, point.high, 0, 0, 0, 0)
                of = {"label": f"{curves.stem} {panel.title} {curve.name}", "metric": f"at {point.x:g}"}
                for end in ("value", "low", "high"):
                    value = getattr(estimate, end)
                    printed = "" if value is None else number(value, point.value)
                    cited.add(value, printed, **of, field="" if end == "value" else end)


def estimate_of(stored: Mapping[str, Any]) -> Estimate:
    """A stored estimate as one."""
    names = ("value", "low", "high", "n_users", "n_prompts", "n_samples", "missing")
    return Estimate(*(stored[name] for name in names))

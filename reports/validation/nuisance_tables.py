"""Tables of nuisances: effects with their claims, claims that fail, and claims that were revised."""

from __future__ import annotations

from prefbench.api import Grid

from .cells import interval, name_of
from .claims import Interval
from .expectations import changed_rules
from .schema import LadderRow, Ladders, ValidationResult
from .settings import MIDDLE

_OUTCOMES = {"holds": "holds", "fails": "FAILS", "open": "open"}


def ladder_grid(result: ValidationResult) -> Grid:
    """The effect of each nuisance's strongest level in the metric's own unit, the claim and its outcome."""
    ladders = result["parts"]["ladders"]
    nuisances = list(dict.fromkeys(row["nuisance"] for row in ladders["rows"]))
    by_cell = {(row["metric"], row["nuisance"]): row for row in ladders["rows"]}
    rows = [
        (name_of(result, name), *(_effect(by_cell[name, nuisance]) for nuisance in nuisances))
        for name in result["metrics"]
    ]
    notes = [
        "At strength 0.5, the strongest level, against the same without the nuisance or against the strength that is "
        "named. Effects are in units: over pictures the standard deviation over all systems' pictures, over sets that "
        "over all systems' values. Brackets: 95 %, over users and prompts, over sets over users. A fall or a rise "
        "holds with the whole interval on its side of zero. It fails where it is surely under the tolerance: 0.2 "
        "units, over sets at most half of the difference between strengths 0 and 1. To stay holds with the whole 90 % "
        "interval (two one-sided tests at 5 %) within the tolerance and within half of the least effect that the "
        "metric must show. Open: the interval is too wide to tell.",
    ]
    if ladders["not_measured"]:
        notes.append(f"Declared and not registered or not computable here: {', '.join(ladders['not_measured'])}.")
    return Grid("Nuisances", ("metric", *nuisances), [rows], notes)


def _effect(row: LadderRow) -> str:
    top, unit = row["effects"][-1], row["unit"]
    ends = (top["value"], top["low"], top["high"])
    value, low, high = (None if end is None or not unit else end / unit for end in ends)
    scaled: Interval = {"value": value, "low": low, "high": high}
    claim = "no claim" if row["claim"] == "none" else f"{claimed(row)}: {_OUTCOMES[row['verdict']]}"
    return f"{interval(scaled, digits=2)}\n{claim}"


def claimed(row: LadderRow) -> str:
    """The claim in words."""
    if row["claim"] == "none":
        return "no claim"
    return f"must {row['claim']}" + ("" if row["against"] == MIDDLE else f", from strength {row['against']:g}")


def revised_grid(ladders: Ladders) -> Grid:
    """Claims that were revised after a first measurement."""
    rows = [
        (f"{row['metric']}, {row['nuisance']}", row["before"], f"{claimed(row)}: {row['reason']}", row["verdict"])
        for row in ladders["rows"]
        if row["before"]
    ]
    columns = ("metric, nuisance", "before", "now", "")
    notes = [
        "The first measurement spoke against what was claimed before, or no claim had been made that it could test. "
        "Rules that changed since then too:",
        *changed_rules(),
    ]
    return Grid("Claims that were argued anew", columns, [rows], notes)


def failures_grid(ladders: Ladders) -> Grid:
    """Expectations that do not hold, with every level."""
    failed = [row for row in ladders["rows"] if row["verdict"] == "fails"]
    rows = [
        (
            f"{row['metric']}, {row['nuisance']}",
            f"{claimed(row)}: {row['reason']}",
            "\n".join(f"{effect['level']:g}: {interval(effect)}" for effect in row["effects"]),
        )
        for row in failed
    ]
    notes = [] if rows else ["Every expectation that could be judged holds."]
    return Grid("Expectations that fail", ("metric, nuisance", "expected", "effect at each level"), [rows], notes)

"""What is required of the metrics, and whether a validation finds it."""

from __future__ import annotations

from collections.abc import Mapping

from .false_positives import FEWEST
from .measured import UTILITY
from .rates import WANTED_COVERAGE, WANTED_RATE, within
from .schema import Coverage, FalsePositives, LadderRow, Parts, Rate, RequiredRow
from .settings import ALPHA, MIDDLE


def requirements(parts: Parts) -> list[RequiredRow]:
    """Everything that is required: of the ranking of runs, then of each metric, last of the truth itself."""
    mixed = parts["identical_mixed"]
    dose = parts["dose"][UTILITY]
    return [
        *(parts["of_runs"]["required"] if "of_runs" in parts else []),
        *(false_positive_row(name, rate, mixed[name]) for name, rate in parts["identical"].items()),
        *(_rate_row(name, rate) for name, rate in parts["identical_sets"].items()),
        *(_coverage_row(name, rate) for name, rate in _coverages(parts).items()),
        *(_claim_row(row) for row in parts["ladders"]["rows"] if row["claim"] != "none"),
        {"what": f"{UTILITY}: rises with strength", "found": dose["spearman"], "passed": dose["monotone"]},
    ]


def false_positive_row(name: str, plain: FalsePositives, mixed: FalsePositives) -> RequiredRow:
    """False positives; where differences rest on too few users, never too many, and enough of them among copies."""
    if (plain["rests_on"] or 0) >= FEWEST:
        return _rate_row(name, plain)
    row = _rate_row(name, mixed, ", half of the pictures copies")
    if within(plain, 0.0, WANTED_RATE[1]) is False:
        row["passed"] = False
    return row


def _rate_row(name: str, share: Rate, where: str = "") -> RequiredRow:
    low, high = WANTED_RATE
    what = f"{name}: identical methods differ at p < {ALPHA:g} in {low:.0%} to {high:.0%} of comparisons{where}"
    return {"what": what, "found": share["rate"], "passed": within(share, low, high)}


def _coverages(parts: Parts) -> Mapping[str, Coverage]:
    return {**parts["coverage"], **parts["coverage_of_sets"]}


def _coverage_row(name: str, share: Rate) -> RequiredRow:
    what = f"{name}: 95 % intervals hold the mean in at least {WANTED_COVERAGE:.0%} of samples"
    return {"what": what, "found": share["rate"], "passed": within(share, WANTED_COVERAGE, 1.0)}


def _claim_row(row: LadderRow) -> RequiredRow:
    from_ = "" if row["against"] == MIDDLE else f", from strength {row['against']:g}"
    what = f"{row['metric']}: must {row['claim']} under {row['nuisance']}{from_}"
    passed = {"holds": True, "fails": False}.get(row["verdict"])
    return {"what": what, "found": row["effects"][-1]["value"], "passed": passed}

"""What the published validations found wanting in metrics: said under the tables that show their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from ..shared.escape import slug

FOLDER = Path(__file__).resolve().parents[2] / "results" / "validation"


@cache
def shortcomings(suite: str, folder: Path = FOLDER) -> Mapping[str, Sequence[str]]:
    """Metric to what is required of it and does not hold on a suite; empty where nothing was published."""
    path = folder / f"{slug(suite)}.json"
    if not path.is_file():
        return {}
    found: dict[str, list[str]] = {}
    for one in json.loads(path.read_text(encoding="utf-8"))["requirements"]:
        metric, separator, fault = one["what"].partition(": ")
        if separator and one["passed"] is False:
            found.setdefault(metric, []).append(fault)
    return found


def shortcoming_notes(suite: str, metrics: Iterable[str], folder: Path = FOLDER) -> list[str]:
    """One line that names the shown metrics with something wanting; empty without any."""
    wanting = {name: faults for name, faults in shortcomings(suite, folder).items() if name in set(metrics)}
    if not wanting:
        return []
    listed = "; ".join(f"{name} ({', '.join(faults)})" for name, faults in wanting.items())
    return [f"measured against the truth (results/validation), these do not hold what is required: {listed}."]

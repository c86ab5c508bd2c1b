"""Requirements that metrics were found not to meet: quoted under every table that shows their numbers.

They are written when a validation is published, and stand beside this module, so that installed packages have them too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from prefbench.files import write_atomic

from ..shared.escape import slug
from .schema import ValidationResult

_FILE = Path(__file__).with_name("unmet.json")


@cache
def unmet_requirements(suite: str, path: Path = _FILE) -> Mapping[str, Sequence[str]]:
    """Metric to what is required of it and does not hold on a suite; empty where nothing was published."""
    of_suites: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(path.read_text(encoding="utf-8"))
    return of_suites.get(slug(suite), {})


def unmet_notes(suite: str, metrics: Iterable[str], path: Path = _FILE) -> list[str]:
    """One line that names the shown metrics with unmet requirements; empty without any."""
    of_suite, names = unmet_requirements(suite, path), set(metrics)
    texts = "; ".join(f"{name} ({', '.join(faults)})" for name, faults in of_suite.items() if name in names)
    if not texts:
        return []
    return [f"measured against the truth (results/validation), these do not hold what is required: {texts}."]


def write(results: Iterable[ValidationResult], published: Path) -> Path:
    """Writes the unmet requirements of all published results; `published` is the folder that holds these."""
    path = _beside(published)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, _text(results))
    return path


def stale(results: Iterable[ValidationResult], published: Path) -> list[str]:
    """The file's name where it does not hold what the published results do."""
    path = _beside(published)
    is_current = path.is_file() and path.read_text(encoding="utf-8") == _text(results)
    return [] if is_current else [path.name]


def _beside(published: Path) -> Path:
    """The file in the checkout that the published results are part of."""
    return published.parents[1] / "reports" / "validation" / _FILE.name


def _text(results: Iterable[ValidationResult]) -> str:
    return json.dumps({slug(result["suite"]): _unmet(result) for result in results}, indent=1) + "\n"


def _unmet(result: ValidationResult) -> Mapping[str, Sequence[str]]:
    faults: dict[str, list[str]] = {}
    for row in result["requirements"]:
        metric, separator, fault = row["what"].partition(": ")
        if separator and row["passed"] is False:
            faults.setdefault(metric, []).append(fault)
    return faults

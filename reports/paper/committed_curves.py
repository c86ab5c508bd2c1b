"""Curves that stand among the committed results: utility over the size of the history, metrics over the dose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError

from ..shared.frame import headlines
from ..shared.published import read_json, results_folder
from ..validation.cells import name_of
from ..validation.schema import ValidationResult
from .material import Curve, Curves, Panel, Point

_HISTORIES = "history-*.json"


def committed_curves(suite: str, digest: str) -> tuple[list[Curves], list[str]]:
    """What was measured on these data, and one line for each figure that there is nothing for.

    Files that do not record the digest of their data stand for the suite of the repository; their caption says so.

    Raises:
        PrefbenchError: a committed file that cannot be read.
    """
    try:
        results = results_folder()
    except PrefbenchError:
        return [], ["history, dose: an installed wheel holds no committed results"]
    doses = [one for one in _validations(results) if (one["suite"], one["suite_digest"]) == (suite, digest)]
    curves = [_dose(one) for one in doses[:1]]
    left_out = ["dose: no committed validation is of these data"] * (not doses)
    of_repository = bool(doses)
    histories = _histories(results.parent / "benchmarks" / "results") if of_repository else []
    curves = [*([_history(histories)] if histories else []), *curves]
    left_out += ["history: no committed curve is of these data"] * (not histories)
    return curves, left_out


def _validations(results: Path) -> list[ValidationResult]:
    return read_json(list((results / "validation").glob("*.json")), lambda one: one, "validation report")


def _histories(folder: Path) -> list[Mapping[str, Any]]:
    return read_json(list(folder.glob(_HISTORIES)), _checked_history, "history curve")


def _checked_history(content: Any) -> Mapping[str, Any]:
    json.dumps([content["method"], content["versions"], [(row["history"], row["value"]) for row in content["rows"]]])
    return dict(content)


def _history(files: Sequence[Mapping[str, Any]]) -> Curves:
    """One panel; the ceiling's curve beside the methods'."""
    curves = [
        Curve(str(one["method"]), [Point(row["history"], row["value"], row["low"], row["high"]) for row in one["rows"]])
        for one in files
    ]
    users = max(row["n_users"] for one in files for row in one["rows"])
    versions = sorted({str(one["versions"]["prefbench"]) for one in files})
    caption = (
        f"Utility over the number of likes, and of as many dislikes, that a method sees; {users} users, bars are 95 % "
        f"intervals. Measured with prefbench {' and '.join(versions)}; the files do not record the data they are of, "
        "so these values are not to be set beside those of the tables."
    )
    return Curves(
        "history", "likes and dislikes a user, a side", "utility", [Panel("", curves)], caption, doubling=True
    )


def _dose(result: ValidationResult) -> Curves:
    """A panel for the headline metric of each question."""
    doses = result["parts"]["dose"]
    questions = {name: _question(result, name) for name in doses}
    chosen = [name for name in dict.fromkeys([*headlines(questions), "preference"]) if name in doses]
    panels = []
    for name in sorted(chosen, key=list(doses).index):
        points = [
            Point(p["strength"], p["value"], p["low"], p["high"])
            for p in doses[name]["points"]
            if p["value"] is not None
        ]
        panels.append(Panel(name_of(result, name), [Curve("", points)]))
    caption = (
        "Metrics over the strength of personalisation of systems that are made for the purpose (dose and response): "
        "at 0 nothing is personal, at 1 all. Bars are 95 % intervals."
    )
    return Curves("dose", "strength of personalisation", "", panels, caption)


def _question(result: ValidationResult, metric: str) -> str:
    about: Mapping[str, Any] = result["metrics"][metric]
    return str(about.get("question", ""))

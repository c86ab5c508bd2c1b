"""Numbers of a run as one flat mapping, for tools that keep metrics by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prefbench.api import ALL

from .rows import RunRows

_FIELDS = {"": "value", "_low": "low", "_high": "high"}
_COUNTS = ("n_users", "n_prompts", "n_samples", "missing")
_ODD = re.compile(r"[^\w\-. /]", re.ASCII)


def flat_numbers(run: RunRows) -> dict[str, float]:
    """Every number of a run: `utility`, its interval as `utility_low` and `utility_high`, and what it stands on.

    Kinds of users stand below `kind/<kind>/`, costs below `cost/`. What has no value has no key. Names hold what MLflow
    takes everywhere, ASCII letters, digits, `_-. /`; two that would be equal then are told apart by a number.
    """
    numbers: dict[str, float] = {}
    for row in run.summary:
        name = row.metric if row.kind == ALL else f"kind/{row.kind}/{row.metric}"
        fields = {end: getattr(row, field) for end, field in _FIELDS.items()}
        fields |= {f"_{field}": getattr(row, field) for field in _COUNTS}
        key = _free(_ODD.sub("_", name), numbers)
        numbers |= {f"{key}{end}": float(value) for end, value in fields.items() if value is not None}
    costs: Mapping[str, float | None] = run.cost
    return numbers | {f"cost/{name}": float(value) for name, value in costs.items() if value is not None}


def _free(key: str, taken: Mapping[str, float]) -> str:
    """The key, numbered where another row has it."""
    number, own = 1, key
    while f"{own}_n_users" in taken:
        number += 1
        own = f"{key} {number}"
    return own

"""The request that `prefbench train` makes of every trainer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.files import json_text


@dataclass(frozen=True)
class TrainRequest:
    """One call of `prefbench train`. A trainer is a function of it, whose keyword-only parameters are those of `-p`."""

    folder: Path
    """Folder of checkpoints, curves and results."""
    images: int | None = None
    """Number of training samples in all; None leaves it to the trainer."""
    install: bool = False
    """Whether the result is copied into the package's weights."""


def trained_card(returned: Any) -> dict[str, Any] | None:
    """What a trainer returned as plain data: the card of its result; None of all processes but one.

    Raises:
        PrefbenchError: it is neither a mapping nor None.
        TypeError, ValueError: it holds what JSON does not.
    """
    if returned is None:
        return None
    if not isinstance(returned, Mapping):
        raise PrefbenchError(f"training returned a {type(returned).__name__}, not a mapping or None")
    card: dict[str, Any] = json.loads(json_text(returned))
    return card

"""What the checks of scorers and of pairwise judges share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prefbench.api import Features, PrefbenchError
from prefbench.check.findings import fail, warn

_ROUNDING = 1e-4
"""The change of a value that other batches or orders may cause: half precision adds in another order."""


def weights_here(ask: Callable[[], object]) -> str:
    """The weights are here, or one line says that they are not; `ask` is a first question."""
    try:
        ask()
    except PrefbenchError as error:
        if "\n" in str(error) or not str(error).strip():
            fail(f"what is wrong must be said in one line: {str(error)!r}"[:200])
        warn(f"nothing below was checked: {error}")
    return "here"


def agree(first: Features, second: Features) -> str:
    """Fails where values differ by more than rounding."""
    difference = float(np.abs(first - second).max())
    if not difference <= _ROUNDING:
        fail(f"values differ by {difference:.3g}")
    return f"values differ by {difference:.2g}"

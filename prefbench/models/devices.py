"""Names of devices and precisions, known without importing torch."""

from __future__ import annotations

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown

DEVICES = ("cuda", "mps", "cpu")
"""The best first."""
DTYPES = ("float32", "float16", "bfloat16")


def check_device(name: str | None) -> None:
    """Raises `PrefbenchError` for a name that is no device on any machine; None is the best one."""
    if name is None:
        return
    kind, colon, index = name.partition(":")
    if kind not in DEVICES or (colon and not index.isdecimal()):
        raise PrefbenchError(unknown("device", name, list(DEVICES)))


def check_dtype(name: str | None) -> None:
    """Raises `PrefbenchError` for a name that is no precision; None leaves the choice to backbone and device."""
    if name is not None and name not in DTYPES:
        raise PrefbenchError(unknown("dtype", name, list(DTYPES)))

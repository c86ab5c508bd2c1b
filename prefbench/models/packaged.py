"""Networks that come inside packages of Python's index, as ONNX: where their files lie, and how they are run.

They run on the CPU with ONNX Runtime, on as many threads as `OMP_NUM_THREADS` says. Imports no package before it is
asked for.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path
from typing import Any

from prefbench.api import PrefbenchError, WeightFiles
from prefbench.models import hub

INSTALL = "pip install 'prefbench[people]'"


def weights_of(module: str, files: tuple[str, ...], licence: str, size: int | None) -> WeightFiles:
    """Files of a package, by their paths inside it; the package need not be here."""
    return WeightFiles(str(_folder(module)), files, licence=licence, size=size, command=INSTALL)


def require(whose: str, weights: WeightFiles) -> list[Path]:
    """The files, in their order. Raises `PrefbenchError` with the command that gets what is missing of them."""
    folder = hub.require(whose, weights)
    if find_spec("onnxruntime") is None:
        raise PrefbenchError(f"{whose}: the package onnxruntime is not here; get it with: {INSTALL}")
    return [folder / name for name in weights.files]


def threads() -> int:
    """Threads to use; 0 for all cores."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() else 0


def session(whose: str, model: Path | bytes) -> Any:
    """The network, ready to run. Raises `PrefbenchError` for a file that is damaged or no such network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads(), 3
    try:
        content = model if isinstance(model, bytes) else model.read_bytes()
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has an exception for each kind of damage
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PrefbenchError(f"{whose} cannot be loaded ({reason})") from error


def _folder(module: str) -> Path:
    """Where a package lies, or would."""
    spec = find_spec(module)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(places[0]) if places else Path(get_path("purelib")) / module

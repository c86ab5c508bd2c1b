"""Environment of a run: versions, hardware, the state of the code. For run.json, cards and `prefbench doctor`."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "prefbench", "torch", "diffusers", "transformers", "open_clip_torch", "accelerate", "scipy", "numpy", "pillow",
)  # fmt: skip


def versions() -> dict[str, str | None]:
    """Installed versions of the packages that numbers depend on; None where one is absent."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and accelerators, without names of the machine."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "accelerators": gpus,
        "system": f"{platform.system()} {platform.machine()}",
    }


def code_state() -> dict[str, Any]:
    """Commit and dirty flag of the checkout that prefbench runs from; both None when it is not a checkout."""
    # Installed into a virtual environment inside somebody's repository, the commit would be theirs.
    is_tracked = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None
    commit = _git("rev-parse", "HEAD") if is_tracked else None
    if commit is None:
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextmanager
def variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of the process's environment, and puts back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

"""How much memory drawing took at most."""

from __future__ import annotations

import sys

import psutil


def reset_peak_memory() -> None:
    """Forgets what was drawn before in this process; the system's own peak of a process cannot be reset."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int:
    """Peak memory in bytes: of the CUDA device since the draw began where there is one, else of the process."""
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else _peak_of_process()


def _peak_of_process() -> int:
    """Peak resident memory in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # psutil knows the current memory alone on other systems.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB

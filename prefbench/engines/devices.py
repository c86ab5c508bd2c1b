"""What `--devices` names: one worker per device, several on the CPU."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from prefbench.api import PrefbenchError, counted
from prefbench.api.near import unknown
from prefbench.models.devices import DEVICES

FORMS = "8 (so many accelerators), all, cuda:0,cuda:2 or cpu:2 (two workers on the CPU)"
_NUMBER = re.compile("-?[0-9]+")
_MOST = 1024
"""Workers of one machine at most."""
_SHOWN = 40
"""Letters of what was given that a message repeats."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def parse_devices(given: str | int | Iterable[str]) -> list[str]:
    """The device of each worker, in order. Looks at no machine, so that a mistake is answered at once.

    `all` and a number of accelerators stay as they are; `devices_here` makes names of them.

    Raises:
        PrefbenchError: anything but one of `FORMS`, a device twice, devices of two kinds.

    Example:
        >>> parse_devices("cpu:2"), parse_devices("cuda:0,cuda:2"), parse_devices(8)
        (['cpu', 'cpu'], ['cuda:0', 'cuda:2'], ['8'])
    """
    if isinstance(given, bool) or not isinstance(given, str | int | Iterable):
        raise PrefbenchError(f"devices are {FORMS}, got {given!r}")
    words = [str(given)] if isinstance(given, int) else given.split(",") if isinstance(given, str) else list(given)
    names = [word.strip() for word in map(str, words)]
    if not names:
        raise PrefbenchError(f"no devices are named: at least one worker is needed; devices are {FORMS}")
    if names == ["all"]:
        return names
    if len(names) == 1 and _NUMBER.fullmatch(names[0]):
        return [str(_counted(names[0], names[0]))]
    workers = [device for name in names for device in _workers(name)]
    if twice := next((one for one in workers if one != "cpu" and workers.count(one) > 1), None):
        raise PrefbenchError(f"--devices names {twice} twice: one worker per device")
    if len(kinds := sorted({device.partition(":")[0] for device in workers})) > 1:
        raise PrefbenchError(
            f"--devices names {' and '.join(kinds)}: images of two kinds of devices differ by rounding"
        )
    return workers


def check_devices(given: str | int | Iterable[str], device: str | None) -> None:
    """Raises `PrefbenchError` for what `parse_devices` refuses, and for a device beside it."""
    parse_devices(given)
    if device is not None:
        raise PrefbenchError(f"give --device or --devices, not both: {device} and {given}")


def _counted(number: str, name: str) -> int:
    """Workers in digits. Raises `PrefbenchError` for none, and for more than a machine has room for."""
    digits = number.lstrip("0")
    if not digits or digits.startswith("-"):
        raise PrefbenchError(f"--devices {name[:_SHOWN]}: at least one worker is needed")
    if len(digits) > len(str(_MOST)) or int(digits) > _MOST:
        raise PrefbenchError(f"--devices {name[:_SHOWN]}: one machine starts {_MOST:,} at most")
    return int(digits)


def _workers(name: str) -> list[str]:
    kind, colon, number = name.partition(":")
    if kind not in DEVICES:
        raise PrefbenchError(f"{unknown('device', name[:_SHOWN], list(DEVICES))}; --devices takes {FORMS}")
    if colon and not (number.isascii() and number.isdecimal()):
        raise PrefbenchError(f"--devices {name[:_SHOWN]}: {number[:_SHOWN]!r} is no number; --devices takes {FORMS}")
    if kind == "cuda" and not colon:
        raise PrefbenchError(f"--devices {name}: say which, as cuda:0, or all")
    if kind != "cpu":
        return [f"{kind}:{number.lstrip('0') or 0}" if colon else kind]
    return ["cpu"] * (_counted(number, name) if colon else 1)


def devices_here(workers: list[str]) -> list[str]:
    """The devices of this machine that `parse_devices` named. Raises `PrefbenchError` for one that is not here."""
    import torch

    kinds = ["cuda"] * torch.cuda.device_count() or ["mps"] * torch.backends.mps.is_available()
    here = [f"{kind}:{i}" for i, kind in enumerate(kinds)]
    if workers[0] == "all" or workers[0].isdecimal():
        wanted = len(here) if workers[0] == "all" else int(workers[0])
        if not here or wanted > len(here):
            found = f"{counted(len(here), 'accelerator')} found here"
            raise PrefbenchError(f"--devices {workers[0]}: {found}; on the CPU give the number of workers, as cpu:2")
        return here[:wanted]
    if missing := [one for one in workers if one != "cpu" and one not in here and one not in kinds]:
        found = ", ".join([*here, "cpu"])
        raise PrefbenchError(f"there is no device {missing[0]!r} here (found: {found})")
    return workers


def threads_each(workers: int) -> int:
    """Threads that each of so many workers computes with: its share of the cores, or fewer where the user says so.

    More threads than cores wait for each other in turns: two workers with two threads each on two cores take longer
    than one worker alone.
    """
    from joblib import cpu_count  # it knows of affinity and of a container's share

    said = [int(text) for name in _THREADS if (text := os.environ.get(name, "")).isdecimal() and int(text) > 0]
    return max(1, min([int(cpu_count()) // workers, *said]))


def thread_variables(threads: int) -> Mapping[str, str]:
    """The environment of a worker: what libraries read when they are loaded."""
    return dict.fromkeys(_THREADS, str(threads))


def place_variables(device: str) -> Mapping[str, str]:
    """The environment of a worker that shows it no accelerator but its own, also to plug-ins that name none."""
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return {"CUDA_VISIBLE_DEVICES": ""} if kind == "cpu" else {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[int(index)].strip() if visible else index}


def inside(device: str) -> str:
    """The device as its worker names it."""
    return device.partition(":")[0]


def shown(devices: list[str]) -> str:
    """Devices in a few words.

    Example:
        >>> shown(["cpu", "cpu"]), shown(["cuda:0", "cuda:2"])
        ('2 workers on cpu', '2 workers on cuda:0, cuda:2')
    """
    of = ", ".join(dict.fromkeys(devices))
    return f"{len(devices)} workers on {of}" if len(devices) > 1 else of

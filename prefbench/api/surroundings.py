"""The state of the process that a plug-in could change under everybody else: remembered, compared, put back.

What a plug-in sets for itself, such as PyTorch's default type, holds again in its own next call and nowhere else. Its
filters that silence warnings stay, and so do the global random generators: nothing of prefbench's reads them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_STANDARD = (0, 1, 2)
_WARNED: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Setting:
    """One piece of state of the process."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    announced: bool = True
    """Whether a change is worth a line; libraries change the others as they are imported."""
    kept: bool = True
    """Whether a plug-in finds its own value again in its next call."""


def remembered() -> dict[str, Any]:
    """The present values of all settings."""
    return {name: setting.read() for name, setting in _settings().items()}


def put_back(before: Mapping[str, Any], own: dict[str, Any], whose: str) -> None:
    """Undoes what a plug-in changed since `before`, and notes it in `own`. Never raises."""
    for name, setting in _settings().items():
        if name not in before:
            continue  # PyTorch was imported meanwhile: its defaults are what nobody changed
        now = setting.read()
        if now != before[name]:
            if setting.kept:
                own[name] = _changes(before[name], now) if isinstance(now, dict) else now
            with contextlib.suppress(Exception):
                setting.write(before[name])
            if setting.announced:
                warn_once(whose, name)


def set_again(own: Mapping[str, Any]) -> None:
    """Sets what a plug-in had set for itself."""
    settings = _settings()
    for name, value in own.items():
        with contextlib.suppress(Exception):
            settings[name].write(_changed(settings[name].read(), value) if isinstance(value, dict) else value)


def _changes(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> dict[Any, Any]:
    """What was set, and None for what was removed."""
    return {name: now.get(name) for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def _changed(present: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: value for name, value in {**present, **changes}.items() if value is not None}


def warn_once(whose: str, what: str) -> None:
    """One line for each thing that a plug-in changes."""
    if (whose, what) not in _WARNED:
        _WARNED.add((whose, what))
        logger.warning("%s changed %s; prefbench puts it back after each call", whose, what)


@contextlib.contextmanager
def streams_kept(whose: str) -> Iterator[None]:
    """Puts the standard streams back, the objects and their descriptors, whether replaced, moved or closed."""
    objects = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    spares = {fd: spare for fd in _STANDARD if (spare := _duplicate(fd)) is not None}
    try:
        yield
    finally:
        changed = [fd for fd, spare in spares.items() if _file(spare) not in (None, _file(fd))]
        for fd in changed:
            os.dup2(spares[fd], fd)
        for spare in spares.values():
            with contextlib.suppress(OSError):
                os.close(spare)
        for fd, (name, stream) in enumerate(objects.items()):
            if getattr(sys, name) is not stream or getattr(stream, "closed", False):
                setattr(sys, name, _open(fd, stream))
                changed.append(fd)
        if changed:  # said now that there is a stream again to say it on
            warn_once(whose, "the standard streams")


def _open(fd: int, stream: Any) -> Any:
    """The stream itself, or where it was closed a new one over the descriptor."""
    if not getattr(stream, "closed", False):
        return stream
    new = open(fd, "r" if fd == 0 else "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    for handler in logging.root.handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
            handler.stream = new  # not setStream, which flushes the closed one
    return new


def _duplicate(fd: int) -> int | None:
    try:
        return os.dup(fd)
    except OSError:  # it was closed before, as in a service
        return None


def _file(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a text, as `os.chdir` takes it
    except OSError:  # it was removed
        return ""


def _environment() -> dict[Any, Any]:
    return dict(getattr(os.environ, "_data", os.environ))  # undecoded, in a tenth of the time


def _set_environment(values: Mapping[Any, Any]) -> None:
    target: Any = getattr(os, "environb", os.environ)
    for name in target.keys() - values.keys():
        del target[name]
    target.update(values)


def _read_handlers() -> tuple[Any, ...]:
    return tuple(signal.getsignal(number) for number in _SIGNALS)


def _set_handlers(handlers: tuple[Any, ...]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _read_alarm() -> bool:
    return hasattr(signal, "getitimer") and signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _set_alarm(running: bool) -> None:
    if not running:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read_logging() -> tuple[Any, ...]:
    return tuple(logging.root.handlers), logging.root.level, logging.root.manager.disable


def _set_logging(state: tuple[Any, ...]) -> None:
    handlers, level, disabled = state
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    logging.disable(disabled)


def _strict_warnings() -> list[Any]:
    """Filters that turn a warning into an exception, which nothing of prefbench's expects."""
    return [one for one in warnings.filters if one[0] == "error"]


def _set_strict_warnings(kept: list[Any]) -> None:
    others = [one for one in warnings.filters if one[0] != "error"]
    warnings.resetwarnings()  # lets the interpreter forget what it derived from the old ones
    warnings.filters[:] = [*kept, *others]  # type: ignore[index]


def _restore_path(before: tuple[str, ...]) -> None:
    """Puts back what is missing in the search path of modules; what a plug-in added stays, as its imports need it."""
    sys.path.extend(folder for folder in before if folder not in sys.path)


def _read_hooks() -> tuple[Any, ...]:
    return sys.excepthook, sys.unraisablehook, threading.excepthook, sys.gettrace(), sys.getprofile()


def _set_hooks(hooks: tuple[Any, ...]) -> None:
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks[:3]
    if sys.gettrace() is not hooks[3]:
        sys.settrace(hooks[3])
    if sys.getprofile() is not hooks[4]:
        sys.setprofile(hooks[4])


def _set_umask(mask: int) -> None:
    os.umask(mask)


def _read_umask() -> int:
    mask = os.umask(0o077)  # there is no way to read it alone
    os.umask(mask)
    return mask


_PROCESS: Mapping[str, Setting] = {
    "the working folder": Setting(_folder, os.chdir),
    "the environment": Setting(_environment, _set_environment, announced=False),
    "the handlers of signals": Setting(_read_handlers, _set_handlers, kept=False),
    "the alarm clock": Setting(_read_alarm, _set_alarm, kept=False),
    "the handlers of logs": Setting(_read_logging, _set_logging, announced=False, kept=False),
    "the filters of warnings": Setting(_strict_warnings, _set_strict_warnings),
    "NumPy's handling of errors": Setting(np.geterr, lambda state: np.seterr(**state) and None),
    "the limit of recursion": Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    "the search path of modules": Setting(lambda: tuple(sys.path), _restore_path, announced=False, kept=False),
    "the hooks of the interpreter": Setting(_read_hooks, _set_hooks, announced=False, kept=False),
    "the rights of new files": Setting(_read_umask, _set_umask),
    "sys.argv": Setting(lambda: list(sys.argv), lambda words: setattr(sys, "argv", words), kept=False),
}


def _settings() -> Mapping[str, Setting]:
    """All settings; PyTorch's only once it is imported, as nothing here imports it."""
    torch = sys.modules.get("torch")
    # A first import that still goes on, or failed, has not all names.
    return _PROCESS if not hasattr(torch, "set_deterministic_debug_mode") else {**_PROCESS, **_of_torch(torch)}


_TORCH: dict[str, Setting] = {}


def _of_torch(torch: Any) -> Mapping[str, Setting]:
    if not _TORCH:
        _TORCH.update(
            {
                "PyTorch's default type": Setting(torch.get_default_dtype, torch.set_default_dtype),
                "PyTorch's default device": Setting(torch.get_default_device, torch.set_default_device),
                "PyTorch's recording of gradients": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
                "PyTorch's number of threads": Setting(torch.get_num_threads, torch.set_num_threads, announced=False),
                "PyTorch's precision of products": Setting(
                    torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
                ),
                "PyTorch's deterministic mode": Setting(
                    torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode
                ),
            }
        )
    return _TORCH

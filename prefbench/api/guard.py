"""The one door to plug-in code: whatever it raises, changes or leaves behind ends in one line that names it.

Every call into a method, metric, scorer, suite, report, control, extractor or trainer stands in `with guarded(...)`.
What cannot be caught inside one process: a plug-in that ends it (`os._exit`, a crash of C code), never returns, traces
calls with a function that raises, or replaces functions of other modules.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from prefbench.api import surroundings
from prefbench.api.errors import NoSpaceError, NotMeasurableError, PluginError, PrefbenchError, without_addresses
from prefbench.api.grids import plain

REASON_LIMIT = 500
"""Characters of an exception's text that a row or a message quotes."""
_TOLD_LIMIT = 4000
"""Characters of a message that a plug-in wrote for the user."""
_PATIENCE = 1.0
"""Seconds within which a second Ctrl-C is the first one, heard twice."""
_OURS = __name__.partition(".")[0]
_NAMED = "names its plug-in"
"""Set on a refusal that names its plug-in already, so that an outer call adds no second name."""
_OWN: dict[str, dict[str, Any]] = {}
"""Whose settings, by the module of a plug-in: what it set for itself."""
_interrupts: list[float] = []
"""When the user pressed Ctrl-C while plug-in code ran."""
_last_resort: list[Callable[[], object]] = []
_asked: list[tuple[str, str]] = []
"""Whose code runs, outermost first: its name in messages, and its module."""
suites_made: dict[tuple[str, str], set[str]] = {}
"""The suites that the code of a plug-in made by itself, by `_asked`."""
left_running: dict[threading.Thread, str] = {}
"""Threads that plug-ins started, did not mark as daemons and left running: the process would wait for them."""


class guarded:  # noqa: N801 - a context manager, read like a function
    """Runs plug-in code. Streams, working folder, environment and other state of the process are put back after it.

    Args:
        whose: the plug-in as messages name it: `method 'mine'`.
        deed: what it is asked for: `generate`. Of many small questions in one guard the one that is asked.
        module: of the plug-in's code: what it sets for itself, such as PyTorch's default type, holds in its next call.
        passes: exceptions that are part of the contract, beside `PrefbenchError`.

    Raises:
        PluginError: the code raised anything else; `SystemExit` and a `KeyboardInterrupt` of its own are such.
        KeyboardInterrupt: the user pressed Ctrl-C, even where the code caught it.
    """

    def __init__(self, whose: str, deed: str, *, module: str = "", passes: tuple[type[BaseException], ...] = ()):
        self._whose, self.deed, self._passes = whose, deed, passes
        self._code = module
        self._own = _OWN.setdefault(module, {}) if module else {}
        self._foreign = bool(module) and module.partition(".")[0] != _OURS

    def __enter__(self) -> guarded:
        self._listening = _Listening()
        self._listening.__enter__()
        self._streams = surroundings.streams_kept(self._whose)
        self._streams.__enter__()
        self._process, self._pressed = os.getpid(), len(_interrupts)
        self._threads = set(threading.enumerate())
        self._before = surroundings.remembered()
        _asked.append((self._whose, self._code))
        surroundings.set_again(self._own)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if os.getpid() != self._process:
            self._end_child()
        _asked.pop()
        self._streams.__exit__(None, None, None)
        surroundings.put_back(self._before, self._own, self._whose)
        self._listening.__exit__()
        for thread in set(threading.enumerate()) - self._threads:
            if not thread.daemon:
                left_running[thread] = f"{self._whose}: {self.deed}"
        if len(_interrupts) > self._pressed:
            raise KeyboardInterrupt from None
        if error is not None and not self._is_told(error):
            raise PluginError(self._whose, self.deed, reason(error)) from error

    def _end_child(self) -> None:
        """Ends a process that the plug-in forked and that came back: it must not go on as a second prefbench."""
        with suppress(OSError):
            os.write(
                2, f"prefbench: {self._whose}: {self.deed} forked a process that came back; it ends here\n".encode()
            )
        os._exit(70)

    def _is_told(self, error: BaseException) -> bool:
        """Whether the exception goes on as it is."""
        if isinstance(error, self._passes):
            return True
        if isinstance(error, KeyboardInterrupt) and not _hears_interrupts():
            return True  # whose it is cannot be told
        if not isinstance(error, PrefbenchError):
            return False
        text = _text(error)
        if not text:
            return False
        if text.isprintable() and len(text) <= _TOLD_LIMIT and not self._is_nameless(error, text):
            return True
        kind = NotMeasurableError if isinstance(error, NotMeasurableError) else PrefbenchError
        told = kind(f"{self._whose}: {plain(text, _TOLD_LIMIT)}")
        vars(told)[_NAMED] = True
        raise told from error

    def _is_nameless(self, error: PrefbenchError, text: str) -> bool:
        """Whether a refusal does not say whose it is; those of prefbench's own code are worded for the user."""
        of_others = self._foreign and not isinstance(error, PluginError | NotMeasurableError | NoSpaceError)
        return of_others and not hasattr(error, _NAMED) and self._whose.partition("'")[2].strip("'") not in text


def note_suite(suite: str) -> None:
    """Notes that a suite is made, where the code of a plug-in makes it."""
    if _asked:
        suites_made.setdefault(_asked[-1], set()).add(suite)


def module_of(plugin: object) -> str:
    """The module that a plug-in's code stands in, for `guarded`."""
    constructor = plugin if isinstance(plugin, type) or callable(plugin) else type(plugin)
    return str(getattr(constructor, "__module__", ""))


_UNREADABLE = "an exception whose text cannot be shown"


def reason(error: BaseException) -> str:
    """An exception's class and text in one line, safe for a terminal, of bounded length, equal for equal causes."""
    if isinstance(error, PluginError):
        return error.reason
    text = _text(error)
    said = _UNREADABLE if text is None else without_addresses(text)
    return plain(f"{type(error).__name__}: {said}", REASON_LIMIT)


def _text(error: BaseException) -> str | None:
    """The beginning of an exception's text; None where asking for it raises."""
    try:
        return str(error)[: 10 * _TOLD_LIMIT]
    except BaseException:
        return None


class _Listening:
    """While plug-in code runs in the main thread, Ctrl-C is noted before it interrupts."""

    def __enter__(self) -> None:
        self._installed = _is_main() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._installed:
            _interrupts.clear()
            signal.signal(signal.SIGINT, _note_interrupt)

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _note_interrupt(number: int, frame: FrameType | None) -> None:
    """Interrupts; pressed again while a plug-in goes on in spite of it, it ends the command where there is one."""
    now = time.monotonic()
    if _interrupts and now - _interrupts[-1] < _PATIENCE:
        return
    ignored = bool(_interrupts)
    _interrupts.append(now)
    if ignored and _last_resort:
        _last_resort[-1]()
    signal.default_int_handler(number, frame)


def on_second_interrupt(end: Callable[[], object]) -> None:
    """What ends the process where a plug-in goes on after Ctrl-C; for commands, as a notebook must live on."""
    _last_resort[:] = [end]


def _hears_interrupts() -> bool:
    """Whether a `KeyboardInterrupt` that nobody noted can only be the plug-in's own."""
    return not _is_main() or signal.getsignal(signal.SIGINT) in (
        signal.default_int_handler,
        _note_interrupt,
        signal.SIG_IGN,  # of a job in the background, which no Ctrl-C reaches
    )


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def still_running() -> list[str]:
    """What plug-ins left behind that the end of the process would wait for: threads, and processes of theirs."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    children = [] if multiprocessing is None else multiprocessing.active_children()
    threads = [whose for thread, whose in left_running.items() if thread.is_alive()]
    return [*threads, *(f"process {child.pid}" for child in children if not child.daemon)]
